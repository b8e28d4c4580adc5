use super::{CONTENT_SECURITY_POLICY, counts, page, shown_size, shown_time};
use crate::files::arrangement::{Arrangement, Form};
use crate::files::listing::{Entry, Kind, Listing};

fn entry(name: &str, kind: Kind) -> Entry {
    Entry::new(name, kind, 784_111_777, 1536)
}

fn listing(entries: Vec<Entry>) -> Listing {
    Listing { entries, unnameable: Vec::new(), is_cut: false }
}

fn page_of(listing: &Listing, directory: &str, query: &str) -> String {
    page(listing, directory, Arrangement::of_query(Form::Html, query))
}

/// Both views.
const VIEWS: [&str; 2] = ["", "view=pictures"];

#[test]
fn names_in_listing_are_escaped_as_html() {
    for view in VIEWS {
        for end in ["", ".png"] {
            let name = format!("\"><script>alert('&')</script><img src=x onerror=y>{end}");
            let page = page_of(&listing(vec![entry(&name, Kind::File)]), "a", view);
            assert_eq!(page.matches("<script").count(), 1, "{page}");
            assert!(!page.contains("<img src=x"), "{page}");
            assert!(page.contains("&quot;&gt;&lt;script&gt;alert(&#39;&amp;&#39;)"), "{page}");
            assert!(page.contains("href=\"./%22%3E%3Cscript%3E"), "{page}");
            let mut unnameable = listing(Vec::new());
            unnameable.unnameable.push(name);
            let page = page_of(&unnameable, "a/<b>", view);
            assert_eq!(page.matches("<script").count(), 1, "{page}");
            assert!(!page.contains("<b>") && !page.contains("<img src=x"), "{page}");
        }
    }
}

#[test]
fn links_are_relative_and_escaped() {
    let names = ["a b?#%.txt", "javascript:x", "caf\u{e9}"];
    let entries = || names.iter().map(|name| entry(name, Kind::File)).collect();
    for view in VIEWS {
        let page = page_of(&listing(entries()), "", view);
        for href in ["./a%20b%3F%23%25.txt", "./javascript%3Ax", "./caf%C3%A9"] {
            assert!(page.contains(&format!("href=\"{href}\"")), "{href} in {page}");
        }
        assert!(!page.contains("Parent folder"), "{page}");
        let page = page_of(&listing(vec![entry("sub", Kind::Directory)]), "a/b", view);
        for href in ["../../", "../", "./", "./sub/"] {
            assert!(page.contains(&format!("href=\"{href}")), "{href} in {page}");
        }
        assert!(page.contains(">Parent folder</a>"), "{page}");
    }
}

#[test]
fn links_to_folders_keep_the_arrangement() {
    let entries = || vec![entry("sub", Kind::Directory), entry("a.png", Kind::File)];
    for (asked, kept) in [
        ("", ""),
        ("sort=name&x=y", ""),
        ("sort=-size", "?sort=-size"),
        ("view=pictures", "?view=pictures"),
        ("view=pictures&sort=time", "?sort=time&amp;view=pictures"),
    ] {
        let page = page_of(&listing(entries()), "a/b", asked);
        for folder in ["../../", "../", "./", "./sub/"] {
            assert!(page.contains(&format!("<a href=\"{folder}{kept}\"")), "{folder} in {page}");
        }
        assert!(page.contains("<a href=\"./a.png\">"), "{page}");
    }
}

#[test]
fn names_without_link_are_shown_and_counted() {
    let page = |names: &[&str]| {
        let unnameable = names.iter().map(|name| (*name).to_owned()).collect();
        page_of(&Listing { unnameable, ..listing(Vec::new()) }, "", "")
    };
    assert!(!page(&[]).contains("no link"));
    let one = page(&["a\\nb"]);
    assert!(one.contains("<td><span>a\\nb</span>") && !one.contains("href=\"./a"), "{one}");
    assert!(one.contains("One entry has no link"), "{one}");
    assert!(page(&["a", "b"]).contains("2 entries have no link"));
}

#[test]
fn control_character_of_unicode_is_shown_as_an_escape() {
    let page = page_of(&listing(vec![entry("a\u{85}b", Kind::File)]), "", "");
    assert!(page.contains("<a href=\"./a%C2%85b\">a\\u{85}b</a>"), "{page}");
}

#[test]
fn empty_folder_says_so() {
    for view in VIEWS {
        assert!(page_of(&listing(Vec::new()), "a", view).contains("This folder is empty."));
    }
    assert!(!page_of(&listing(vec![entry("a", Kind::File)]), "", "").contains("is empty"));
}

#[test]
fn columns_lead_to_their_orders() {
    let entries = listing(vec![entry("a.png", Kind::File)]);
    for (query, sorted, values) in [
        (
            "",
            "<th aria-sort=\"ascending\"><button form=\"sort\" name=\"sort\" value=\"-name\">Name",
            ["-size", "-time"],
        ),
        (
            "sort=-size",
            "<th aria-sort=\"descending\"><button form=\"sort\" name=\"sort\" value=\"size\">Size",
            ["name", "-time"],
        ),
        (
            "sort=time",
            "<th aria-sort=\"ascending\"><button form=\"sort\" name=\"sort\" value=\"-time\">Modified",
            ["name", "-size"],
        ),
    ] {
        let page = page_of(&entries, "", query);
        assert!(page.contains(sorted), "{query}: {page}");
        for value in values {
            assert!(page.contains(&format!("name=\"sort\" value=\"{value}\"")), "{query}: {page}");
        }
    }
    // The order stays when the view changes.
    let page = page_of(&entries, "", "sort=-size&view=pictures");
    assert!(page.contains("type=\"hidden\" name=\"sort\" value=\"-size\""), "{page}");
}

#[test]
fn pictures_alone_are_shown_as_such() {
    let kinds = ["a.png", "b.JPG", "c.svg", "d.heic", "e.txt", "f.html"];
    let entries = kinds.iter().map(|name| entry(name, Kind::File)).collect();
    let page = page_of(&listing(entries), "", "view=pictures");
    assert_eq!(page.matches("<img src=\"./").count(), 3, "{page}");
    assert_eq!(page.matches("loading=\"lazy\"").count(), 3, "{page}");
    // Where there are none, nothing leads to that view.
    let text = page_of(&listing(vec![entry("a.txt", Kind::File)]), "", "");
    assert!(!text.contains("Pictures"), "{text}");
}

#[test]
fn kinds_have_icons() {
    for (name, class) in [
        ("a.png", " class=i"),
        ("a.mp4", " class=v"),
        ("a.mp3", " class=a"),
        ("a.md", " class=t"),
        ("a.tar.gz", " class=z"),
        ("a.deb", " class=z"),
        ("a.zip", " class=z"),
        ("a.7z", " class=z"),
        ("a.bz2", " class=z"),
        ("a", ""),
    ] {
        let page = page_of(&listing(vec![entry(name, Kind::File)]), "", "");
        assert!(page.contains(&format!("<tr{class}><td><a href=\"./{name}\">")), "{name}: {page}");
    }
}

#[test]
fn page_of_ten_thousand_entries_is_less_than_a_megabyte() {
    let entries = (0..10_000).map(|n| entry(&format!("report-{n:05}.txt"), Kind::File)).collect();
    let length = page_of(&listing(entries), "", "").len();
    assert!(length < 1_000_000, "{length}");
}

#[test]
fn totals() {
    let folder = || entry("a", Kind::Directory);
    let file = || entry("a", Kind::File);
    for (entries, expected) in [
        (vec![], ""),
        (vec![folder()], "1 folder"),
        (vec![file()], "1 file, 1.5 KiB"),
        (vec![folder(), folder(), file(), file()], "2 folders, 2 files, 3.0 KiB"),
        (vec![file(); 1002], "1,002 files, 1.4 MiB"),
    ] {
        assert_eq!(counts(&listing(entries)), expected);
    }
}

#[test]
fn policy_allows_nothing_but_what_the_page_has() {
    assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    assert!(CONTENT_SECURITY_POLICY.starts_with("default-src 'none'; style-src 'sha256-"));
}

#[test]
fn times() {
    assert_eq!(shown_time(784_111_777), "1994-11-06 08:49");
    assert_eq!(shown_time(u64::MAX >> 20), "9999-12-31 23:59");
}

#[test]
fn sizes() {
    for (bytes, shown) in [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (10_239, "9.9 KiB"),
        (10_240, "10 KiB"),
        (1 << 20, "1.0 MiB"),
        (5 << 30, "5.0 GiB"),
        (u64::MAX, "15 EiB"),
    ] {
        assert_eq!(shown_size(bytes), shown, "{bytes}");
    }
}
