//! What a file's name tells about its content.

/// A media type, for `Content-Type` (RFC 9110, section 8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType {
    name: &'static str,
    is_text: bool,
}

/// What is known nothing of.
const UNKNOWN: &str = "application/octet-stream";

/// Types that are text although their name does not say so.
const TEXT_TYPES: [&str; 4] =
    ["application/json", "application/manifest+json", "application/xml", "image/svg+xml"];

/// Types that are no text and compress well.
const COMPRESSIBLE_TYPES: [&str; 8] = [
    "application/atom+xml",
    "application/rss+xml",
    "application/vnd.ms-fontobject",
    "application/wasm",
    "application/xhtml+xml",
    "font/otf",
    "font/ttf",
    "image/x-icon",
];

impl MediaType {
    /// The type of the file with this path, by its extension.
    pub fn of(path: &str) -> MediaType {
        let name = match mime_guess::from_path(path).first_raw() {
            // What modules (`.mjs`) are still called; scripts are `text` now
            // (RFC 9239, section 6).
            Some("application/javascript") => "text/javascript",
            Some(name) => name,
            None => UNKNOWN,
        };
        MediaType { name, is_text: name.starts_with("text/") || TEXT_TYPES.contains(&name) }
    }

    /// Whether content of this type becomes smaller when it is compressed, so that
    /// siblings of such a file are looked for.
    pub fn is_compressible(self) -> bool {
        self.is_text || COMPRESSIBLE_TYPES.contains(&self.name)
    }

    /// Whether it is a web page.
    pub fn is_html(self) -> bool {
        self.name == "text/html"
    }

    /// The value of `Content-Type`. Text is taken to be UTF-8.
    pub fn field_value(self) -> String {
        match self.is_text {
            true => format!("{}; charset=utf-8", self.name),
            false => self.name.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::MediaType;

    #[test]
    fn the_types_of_the_web() {
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("index.htm", "text/html; charset=utf-8"),
            ("a/style.css", "text/css; charset=utf-8"),
            ("app.js", "text/javascript; charset=utf-8"),
            ("app.mjs", "text/javascript; charset=utf-8"),
            ("data.json", "application/json; charset=utf-8"),
            ("site.webmanifest", "application/manifest+json; charset=utf-8"),
            ("feed.xml", "text/xml; charset=utf-8"),
            ("note.txt", "text/plain; charset=utf-8"),
            ("readme.md", "text/markdown; charset=utf-8"),
            ("picture.svg", "image/svg+xml; charset=utf-8"),
            ("picture.PNG", "image/png"),
            ("picture.jpg", "image/jpeg"),
            ("picture.webp", "image/webp"),
            ("picture.avif", "image/avif"),
            ("favicon.ico", "image/x-icon"),
            ("font.woff2", "font/woff2"),
            ("guest.wasm", "application/wasm"),
            ("paper.pdf", "application/pdf"),
            ("archive.tar.gz", "application/gzip"),
            ("film.mp4", "video/mp4"),
            ("noextension", "application/octet-stream"),
            ("what.unknown-extension", "application/octet-stream"),
        ] {
            assert_eq!(MediaType::of(path).field_value(), expected, "for {path}");
        }
    }
}
