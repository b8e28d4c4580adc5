//! A listing as a page for people, or as JSON for programs, in the order that is asked for.

use super::arrangement::{Arrangement, Form};
use super::listing::Listing;
use super::listing_page;

/// The listing in this arrangement, for the directory with this path; `""` is the root.
pub(super) fn text(listing: &mut Listing, directory: &str, arrangement: Arrangement) -> String {
    listing.entries.sort_by(|one, other| arrangement.compare(one, other));
    match arrangement.form {
        Form::Html => listing_page::page(listing, directory, arrangement),
        Form::Json => to_json(listing),
    }
}

/// A list of objects with `name`, `type` (`file` or `directory`), `mtime` and,
/// of files, `size` in bytes: as nginx writes it. And with `url`, the escaped name as a
/// reference relative to the listing.
fn to_json(listing: &Listing) -> String {
    serde_json::to_string(&listing.entries).expect("texts and numbers are always JSON")
}

#[cfg(test)]
mod tests {
    use super::{Arrangement, Form, text, to_json};
    use crate::files::listing::{Entry, Kind, Listing};

    fn listing(entries: Vec<Entry>) -> Listing {
        Listing { entries, unnameable: Vec::new(), is_cut: false }
    }

    #[test]
    fn json_is_json() {
        let entry = |name, kind| Entry::new(name, kind, 784_111_777, 1536);
        let json =
            to_json(&listing(vec![entry("\"a\" \u{e9}", Kind::File), entry("b", Kind::Directory)]));
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(
            json,
            format!(
                r#"[{{"name":"\"a\" é","url":"./%22a%22%20%C3%A9","type":"file","mtime":"{date}","size":1536}},{{"name":"b","url":"./b/","type":"directory","mtime":"{date}"}}]"#
            )
        );
    }

    #[test]
    fn entries_are_in_the_order_of_the_query() {
        let entries = || {
            listing(vec![
                Entry::new("file10", Kind::File, 1, 5),
                Entry::new("z", Kind::Directory, 2, 9),
                Entry::new("file2", Kind::File, 3, 5),
                Entry::new("File1", Kind::File, 2, 7),
                Entry::new("a", Kind::Directory, 1, 0),
            ])
        };
        for (query, expected) in [
            ("", "a z File1 file2 file10"),
            ("sort=name", "a z File1 file2 file10"),
            ("a=b&sort=-name", "z a file10 file2 File1"),
            ("sort=size", "a z file2 file10 File1"),
            ("sort=-size", "a z File1 file2 file10"),
            ("sort=time", "a z file10 File1 file2"),
            ("sort=-time&view=pictures", "z a file2 File1 file10"),
            ("sort=<script>", "a z File1 file2 file10"),
            ("sort=--size", "a z File1 file2 file10"),
        ] {
            let mut listing = entries();
            text(&mut listing, "", Arrangement::of_query(Form::Json, query));
            let names: Vec<_> = listing.entries.iter().map(|entry| &*entry.name).collect();
            assert_eq!(names.join(" "), expected, "{query}");
        }
    }
}
