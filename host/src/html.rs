//! Pages that the program itself makes: text in them, and what a browser may do with them.

use std::fmt::Write;

use innkeeper_guest::base64::{self, Padding};
use sha2::{Digest, Sha256};

/// Text without markup, in an element or in a quoted attribute. What would show as nothing, as a
/// line end, or turn the direction of what stands beside it, is shown as an escape.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                escaped.extend(character.escape_unicode());
            }
            _ if character.is_control() => escaped.extend(character.escape_default()),
            _ => escaped.push(character),
        }
    }
    escaped
}

/// A style sheet or script without indentation, empty lines and lines that are comments, to stand in
/// a page.
pub fn compact(source: &str) -> String {
    let mut compact = String::with_capacity(source.len());
    for line in source.lines().map(str::trim) {
        if !line.is_empty() && !line.starts_with("//") && !line.starts_with("/*") {
            // Writing to memory does not fail.
            let _ = writeln!(compact, "{line}");
        }
    }
    compact
}

/// A style sheet or script in a page, by its content (CSP Level 3, section 2.3.1): no other may
/// stand there, whatever is written into the page.
pub fn source_hash(inline: &str) -> String {
    let mut hash = "'sha256-".to_owned();
    base64::encode(&Sha256::digest(inline), Padding::Required, &mut hash);
    hash.push('\'');
    hash
}

#[cfg(test)]
mod tests {
    use super::{compact, escaped, source_hash};

    #[test]
    fn escapes() {
        assert_eq!(escaped("a<b>&\"'\u{7}"), "a&lt;b&gt;&amp;&quot;&#39;\\u{7}");
        assert_eq!(escaped("\u{202e}gpj.exe"), "\\u{202e}gpj.exe");
        // A letter and its accent stay together.
        assert_eq!(escaped("e\u{301}\u{200d}"), "e\u{301}\u{200d}");
    }

    #[test]
    fn comments_and_indentation_are_left_out() {
        assert_eq!(compact("/* a */\na {\n  b: c;\n\n}\n// d\n"), "a {\nb: c;\n}\n");
    }

    #[test]
    fn example_of_csp() {
        let hash = source_hash("alert('Hello, world.');");
        assert_eq!(hash, "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='");
    }
}
