//! The media type of a file, by its name.
//!
//! The table is mime-db's, which has IANA's registry and what Apache and nginx have
//! (`media_types/table.tsv`, made by `media_types/make.py`). What is otherwise here, and why,
//! stands in [`OWN`].

use std::collections::HashMap;
use std::sync::LazyLock;

use super::encodings::Coding;

/// A media type, for `Content-Type` (RFC 9110, section 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType {
    name: &'static str,
    is_compressible: bool,
    coding: Option<Coding>,
}

/// The table: an extension, then for each type its name, its source and whether it compresses.
const TABLE: &str = include_str!("media_types/table.tsv");

/// The type of files with an unknown extension. They are often compressed already, so they are not
/// compressed again, although mime-db would.
const UNKNOWN: &str = "application/octet-stream";

/// Extensions whose type is not what mime-db has first, or which it does not have, and why.
const OWN: [(&str, &str, &str); 44] = [
    // IANA has registered these, and mime-db still gives the extension to an older name.
    ("flac", "audio/flac", REGISTERED),
    ("mk3d", "video/matroska", REGISTERED),
    ("mka", "audio/matroska", REGISTERED),
    ("mkd", "text/markdown", REGISTERED),
    ("mks", "video/matroska", REGISTERED),
    ("mkv", "video/matroska", REGISTERED),
    ("p12", "application/pkcs12", REGISTERED),
    ("pfx", "application/pkcs12", REGISTERED),
    ("vcf", "text/vcard", REGISTERED),
    // IANA has registered these, and mime-db has no extension for them.
    ("ac3", "audio/ac3", MISSING),
    ("avifs", "image/avif", MISSING),
    ("parquet", "application/vnd.apache.parquet", MISSING),
    ("tgz", "application/gzip", MISSING),
    ("zst", "application/zstd", MISSING),
    // Other names of what mime-db has.
    ("3gp2", "video/3gpp2", ALIAS),
    ("cur", "image/vnd.microsoft.icon", ALIAS),
    ("es", "text/javascript", ALIAS),
    ("jsm", "text/javascript", ALIAS),
    ("m4r", "audio/mp4", ALIAS),
    ("wave", "audio/wav", ALIAS),
    // Texts that people want to read in a browser.
    ("bas", "text/plain", READABLE),
    ("cfg", "text/plain", READABLE),
    ("cmd", "text/plain", READABLE),
    ("cnf", "text/plain", READABLE),
    ("cs", "text/plain", READABLE),
    ("csproj", "text/plain", READABLE),
    ("diff", "text/plain", READABLE),
    ("go", "text/plain", READABLE),
    ("hpp", "text/plain", READABLE),
    ("hxx", "text/plain", READABLE),
    ("idl", "text/plain", READABLE),
    ("inc", "text/plain", READABLE),
    ("inl", "text/plain", READABLE),
    ("kt", "text/plain", READABLE),
    ("lst", "text/plain", READABLE),
    ("mk", "text/plain", READABLE),
    ("patch", "text/plain", READABLE),
    ("py", "text/plain", READABLE),
    ("rb", "text/plain", READABLE),
    ("reg", "text/plain", READABLE),
    ("sln", "text/plain", READABLE),
    ("swift", "text/plain", READABLE),
    ("tsx", "text/plain", READABLE),
    ("vb", "text/plain", READABLE),
];

const REGISTERED: &str = "registered with IANA under this name";
const MISSING: &str = "registered with IANA; mime-db has no extension";
const ALIAS: &str = "another extension of a type in the table";
const READABLE: &str = "source text";

/// Types that are text although their name does not say so.
const TEXT_TYPES: [&str; 4] =
    ["application/json", "application/manifest+json", "application/xml", "image/svg+xml"];

/// The media type of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Known {
    name: &'static str,
    is_compressible: bool,
}

/// All media types, by extension in lower case.
static KNOWN: LazyLock<HashMap<&'static str, Known>> = LazyLock::new(|| {
    let mut known = HashMap::new();
    let mut flags = HashMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        let mut columns = line.split('\t');
        let (Some(extension), Some(name)) = (columns.next(), columns.next()) else { continue };
        let is_compressible = is_compressible(name, columns.nth(1) == Some("yes"));
        flags.insert(name, is_compressible);
        known.insert(extension, Known { name, is_compressible });
    }
    for (extension, name, _) in OWN {
        let flag = flags.get(name).copied().unwrap_or(false);
        let is_compressible = is_compressible(name, flag);
        known.insert(extension, Known { name, is_compressible });
    }
    known
});

/// Whether content of this type becomes smaller when it is compressed, where mime-db says so or
/// the name does.
fn is_compressible(name: &str, flag: bool) -> bool {
    let is_text = name.starts_with("text/") || name.ends_with("+json") || name.ends_with("+xml");
    is_text || flag && name != UNKNOWN
}

/// The extension of the file with this path: what follows the last dot of its name, unless the
/// name begins with that dot.
pub(super) fn extension(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}

impl MediaType {
    /// The type of the file with this path, by its extension.
    pub fn of(path: &str) -> MediaType {
        let unknown = Known { name: UNKNOWN, is_compressible: false };
        let extension = extension(path).unwrap_or_default();
        let Known { name, is_compressible } = match KNOWN.get(extension) {
            Some(known) => *known,
            None => KNOWN.get(extension.to_ascii_lowercase().as_str()).copied().unwrap_or(unknown),
        };
        // The one extension that stands for a type and a coding: SVG in gzip (SVG 1.1, section
        // 1.2). Who does not accept gzip gets it all the same: there is no other form.
        let coding = extension.eq_ignore_ascii_case("svgz").then_some(Coding::Gzip);
        MediaType { name, is_compressible: is_compressible && coding.is_none(), coding }
    }

    /// A type of the operator's, which may have parameters.
    pub(super) fn named(name: &'static str) -> MediaType {
        let mut own = MediaType { name, is_compressible: false, coding: None };
        let essence = own.essence();
        let known = KNOWN.values().find(|known| known.name == essence);
        let flag = known.is_some_and(|known| known.is_compressible);
        own.is_compressible = is_compressible(essence, flag);
        own
    }

    /// Whether content of this type becomes smaller when it is compressed, so that
    /// it is compressed on the fly.
    pub fn is_compressible(self) -> bool {
        self.is_compressible
    }

    /// The coding in which a file of this name lies there.
    pub fn coding(self) -> Option<Coding> {
        self.coding
    }

    /// Its name without parameters.
    pub(super) fn essence(self) -> &'static str {
        self.name.split(';').next().unwrap_or_default().trim_end()
    }

    /// Whether it is a web page.
    pub fn is_html(self) -> bool {
        self.essence() == "text/html"
    }

    /// The value of `Content-Type`. Text is taken to be UTF-8.
    pub fn field_value(self) -> String {
        let is_text = self.name.starts_with("text/") || TEXT_TYPES.contains(&self.name);
        match is_text && !self.name.contains(';') {
            true => format!("{}; charset=utf-8", self.name),
            false => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, MediaType, OWN, TABLE, UNKNOWN, is_compressible};
    use std::collections::{BTreeSet, HashMap};

    /// One type of an extension in mime-db.
    #[derive(Clone, Copy, Debug)]
    struct Candidate {
        name: &'static str,
        source: &'static str,
        compresses: &'static str,
    }

    /// All of mime-db.
    fn table() -> Vec<(&'static str, Vec<Candidate>)> {
        let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
        let row = |line: &'static str| {
            let columns: Vec<_> = line.split('\t').collect();
            let (extension, types) = columns.split_first().expect("an extension");
            assert!(!types.is_empty() && types.len() % 3 == 0, "{line}");
            let candidates = types.chunks(3).map(|one| Candidate {
                name: one[0],
                source: one[1],
                compresses: one[2],
            });
            (*extension, candidates.collect())
        };
        lines.map(row).collect()
    }

    #[test]
    fn table_holds_all_of_mime_db() {
        let table = table();
        assert!(table.len() > 1_200, "{}", table.len());
        let (mut before, mut of_iana) = ("", 0);
        for (extension, candidates) in &table {
            assert!(before < *extension, "{before} is not before {extension}");
            before = extension;
            assert_eq!(extension.to_ascii_lowercase(), *extension);
            of_iana += usize::from(candidates[0].source == "iana");
            // A name of IANA's is never given up for another, save the one that says nothing.
            let registered = candidates.iter().find(|one| one.source == "iana");
            if let Some(registered) = registered.filter(|one| one.name != UNKNOWN) {
                assert_eq!(candidates[0].source, "iana", "{extension}: {registered:?}");
            }
        }
        assert!(of_iana > 800, "{of_iana}");
    }

    #[test]
    fn every_extension_of_mime_db_has_its_type() {
        let own: HashMap<_, _> =
            OWN.iter().map(|(extension, name, _)| (*extension, *name)).collect();
        for (extension, candidates) in table() {
            let expected = own.get(extension).copied().unwrap_or(candidates[0].name);
            for path in
                [format!("a.{extension}"), format!("a/b.c.{}", extension.to_ascii_uppercase())]
            {
                let found = MediaType::of(&path);
                assert_eq!(found.name, expected, "{path}");
                if expected == candidates[0].name && extension != "svgz" {
                    let flag = candidates[0].compresses == "yes";
                    assert_eq!(found.is_compressible(), is_compressible(expected, flag), "{path}");
                }
            }
        }
    }

    #[test]
    fn every_own_type_differs_from_mime_db() {
        let table: HashMap<_, _> = table().into_iter().collect();
        let names: BTreeSet<_> = table.values().flatten().map(|one| one.name).collect();
        let mut extensions = BTreeSet::new();
        for (extension, name, why) in OWN {
            assert!(extensions.insert(extension), "{extension} is there twice");
            let has = table.get(extension).map(|candidates| candidates[0].name);
            assert_ne!(has, Some(name), "{extension} needs no exception");
            assert_eq!(has.is_some(), why == super::REGISTERED, "{extension}: {why}");
            assert_eq!(MediaType::of(&format!("a.{extension}")).name, name);
            if why == super::ALIAS || why == super::READABLE {
                assert!(names.contains(name), "{extension}: {name} is not in the table");
            }
        }
        assert_eq!(
            KNOWN.len(),
            table.keys().copied().chain(extensions).collect::<BTreeSet<_>>().len()
        );
    }

    #[test]
    fn types_of_the_web() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("index.htm", "text/html; charset=utf-8"),
            ("a/style.css", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("app.cjs", "application/node"),
            ("app.js.map", "application/json; charset=utf-8"),
            ("data.json", "application/json; charset=utf-8"),
            ("site.webmanifest", "application/manifest+json; charset=utf-8"),
            ("feed.xml", "application/xml; charset=utf-8"),
            ("note.txt", "text/plain; charset=utf-8"),
            ("readme.md", "text/markdown; charset=utf-8"),
            ("table.csv", "text/csv; charset=utf-8"),
            ("picture.svg", "image/svg+xml; charset=utf-8"),
            ("picture.svgz", "image/svg+xml; charset=utf-8"),
            ("picture.PNG", "image/png"),
            ("picture.jpg", "image/jpeg"),
            ("picture.webp", "image/webp"),
            ("picture.avif", "image/avif"),
            ("picture.jxl", "image/jxl"),
            ("favicon.ico", "image/vnd.microsoft.icon"),
            ("font.woff", "font/woff"),
            ("font.woff2", "font/woff2"),
            ("font.otf", "font/otf"),
            ("font.ttf", "font/ttf"),
            ("guest.wasm", "application/wasm"),
            ("paper.pdf", "application/pdf"),
            ("archive.tar.gz", "application/gzip"),
            ("archive.tgz", "application/gzip"),
            ("film.mp4", "video/mp4"),
            ("film.webm", "video/webm"),
            ("segment.ts", "video/mp2t"),
            ("segment.m4s", "video/iso.segment"),
            ("list.m3u8", "application/vnd.apple.mpegurl"),
            ("list.mpd", "application/dash+xml"),
            ("captions.vtt", "text/vtt; charset=utf-8"),
            ("sound.mp3", "audio/mpeg"),
            ("sound.flac", "audio/flac"),
            ("sound.m4a", "audio/mp4"),
            ("map.geojson", "application/geo+json"),
            ("track.gpx", "application/gpx+xml"),
            ("scene.gltf", "model/gltf+json"),
            ("scene.glb", "model/gltf-binary"),
            ("noextension", "application/octet-stream"),
            ("what.unknown-extension", "application/octet-stream"),
            ("a.", "application/octet-stream"),
            ("a.css/b", "application/octet-stream"),
            (".html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(MediaType::of(path).field_value(), expected, "for {path}");
        }
    }

    #[test]
    fn text_xml_and_json_are_compressible() {
        for (names, expected) in [
            ("html css js json xml svg txt md geojson gpx gltf webmanifest map rss atom", true),
            ("wasm otf ttf eot ico bmp vtt csv mpd xhtml ipynb jsonld glb tar", true),
            ("png jpg webp avif mp4 mp3 zip gz woff woff2 pdf svgz bin exe iso deb", false),
        ] {
            for name in names.split(' ') {
                let found = MediaType::of(&format!("a.{name}"));
                assert_eq!(found.is_compressible(), expected, "{name}: {found:?}");
            }
        }
    }
}
