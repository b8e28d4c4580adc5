//! Patterns as other servers and shells have them: here they would match nothing, so they are told
//! with what to write.

/// What to write in place of a pattern with alternatives or of a regular expression; `None` of any
/// other. `example` is a pattern of the kind that is meant.
pub fn instead(pattern: &str, example: &str) -> Option<String> {
    let is_expression = pattern.starts_with(['~', '^']) || pattern.ends_with('$');
    if is_expression || pattern.contains("\\.") {
        return Some(format!(
            "it is a regular expression, and patterns are none; `*` stands for any characters, as \
             in `{example}`"
        ));
    }
    let all = alternatives(pattern)?;
    let all: Vec<_> = all.iter().map(|one| format!("`{one}`")).collect();
    Some(format!("patterns have no alternatives; write one rule for each: {}", all.join(", ")))
}

/// The patterns that `{a,b}`, `(a|b)` or `a|b` is short for.
fn alternatives(pattern: &str) -> Option<Vec<String>> {
    for (open, separator, close) in [('{', ',', '}'), ('(', '|', ')')] {
        let Some((before, rest)) = pattern.split_once(open) else { continue };
        let Some((inside, behind)) = rest.split_once(close) else { continue };
        if inside.contains(separator) {
            let one = |part: &str| [before, part.trim(), behind].concat();
            return Some(inside.split(separator).map(one).collect());
        }
    }
    pattern.contains('|').then(|| pattern.split('|').map(|one| one.trim().to_owned()).collect())
}

#[cfg(test)]
mod tests {
    use super::instead;

    #[test]
    fn foreign_pattern_is_told_with_what_to_write() {
        for (pattern, told) in [
            ("*.{png,jpg, svg}", "one rule for each: `*.png`, `*.jpg`, `*.svg`"),
            ("/assets/*.(js|css)", "one rule for each: `/assets/*.js`, `/assets/*.css`"),
            ("*.png|*.jpg", "one rule for each: `*.png`, `*.jpg`"),
            (r"~*\.png$", "as in `*.css`"),
            (r"/a/.*\.png", "as in `*.css`"),
            ("^/a", "as in `*.css`"),
        ] {
            let said = instead(pattern, "*.css").unwrap_or_default();
            assert!(said.ends_with(told), "{pattern}: {said}");
        }
        for pattern in ["*.png", "/a/:b/*", "/a(1)", "/{a}", "[ab].js", "/a,b", "/~user/*", "/$a"] {
            assert_eq!(instead(pattern, "*.css"), None, "{pattern}");
        }
    }
}
