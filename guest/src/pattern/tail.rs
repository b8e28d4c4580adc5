//! The part of a pattern that has wildcards in it, matched in time that is linear in the text for each
//! wildcard: no pattern blows up.

/// What a part of a path must look like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    /// No two texts stand side by side, and at least one token is none.
    tokens: Box<[Token]>,
}

/// A piece of a tail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// This text.
    Text(String),
    /// Any characters: `*`.
    Any,
    /// Any characters but `/`, at least one: a placeholder.
    Part,
}

impl Tail {
    pub(super) fn new(tokens: Vec<Token>) -> Tail {
        Tail { tokens: tokens.into() }
    }

    /// Which of the wildcards the first `*` is.
    pub(super) fn splat(&self) -> Option<usize> {
        let mut wildcards = self.tokens.iter().filter(|token| !matches!(token, Token::Text(_)));
        wildcards.position(|token| *token == Token::Any)
    }

    /// What each wildcard stands for, if this is what the text looks like. Each wildcard, from the
    /// first on, stands for as much as it can.
    pub(crate) fn matches<'p>(&self, text: &'p str) -> Option<Vec<&'p str>> {
        // A `/` at the end belongs to a `*` that is there.
        let text = match self.tokens.last() {
            Some(Token::Any) => text,
            _ => text.strip_suffix('/').unwrap_or(text),
        };
        match &*self.tokens {
            [Token::Any] => Some(vec![text]),
            [Token::Any, Token::Text(end)] => Some(vec![text.strip_suffix(end.as_str())?]),
            [Token::Text(start), Token::Any] => Some(vec![text.strip_prefix(start.as_str())?]),
            tokens => Table::of(tokens, text).walk(tokens, text),
        }
    }
}

/// From which place on which tokens match: for each token, and the end behind them, one element
/// for each place of the text and its end.
struct Table {
    matches: Vec<bool>,
    width: usize,
}

impl Table {
    /// From the last token to the first, and from the end of the text to its start: each element
    /// needs one or two others.
    fn of(tokens: &[Token], text: &str) -> Table {
        let width = text.len() + 1;
        let mut table = Table { matches: vec![false; width * (tokens.len() + 1)], width };
        table.set(tokens.len(), text.len(), true);
        for (row, token) in tokens.iter().enumerate().rev() {
            for at in (0..width).rev() {
                let is_match = match token {
                    Token::Text(expected) => {
                        let behind = text.as_bytes().get(at..).unwrap_or_default();
                        behind.starts_with(expected.as_bytes())
                            && table.get(row + 1, at + expected.len())
                    }
                    Token::Any => {
                        table.ends(row, at, text) || at < text.len() && table.get(row, at + 1)
                    }
                    Token::Part => {
                        at < text.len()
                            && text.as_bytes().get(at) != Some(&b'/')
                            && (table.ends(row, at + 1, text) || table.get(row, at + 1))
                    }
                };
                table.set(row, at, is_match);
            }
        }
        table
    }

    /// What each wildcard stands for, if all tokens match the whole text.
    fn walk<'p>(&self, tokens: &[Token], text: &'p str) -> Option<Vec<&'p str>> {
        if !self.get(0, 0) {
            return None;
        }
        let mut wildcards = Vec::new();
        let mut at = 0;
        for (row, token) in tokens.iter().enumerate() {
            let end = match token {
                Token::Text(expected) => at + expected.len(),
                Token::Any => (at..self.width).rev().find(|&end| self.ends(row, end, text))?,
                Token::Part => {
                    let part = text.get(at..)?.split('/').next()?;
                    (at + 1..=at + part.len()).rev().find(|&end| self.ends(row, end, text))?
                }
            };
            if !matches!(token, Token::Text(_)) {
                wildcards.push(text.get(at..end)?);
            }
            at = end;
        }
        Some(wildcards)
    }

    /// Whether the token of this row may end here: between two characters, and the next ones
    /// match from here on.
    fn ends(&self, row: usize, at: usize, text: &str) -> bool {
        text.is_char_boundary(at) && self.get(row + 1, at)
    }

    fn get(&self, row: usize, at: usize) -> bool {
        at < self.width && self.matches.get(row * self.width + at).is_some_and(|&is| is)
    }

    fn set(&mut self, row: usize, at: usize, is_match: bool) {
        if let Some(element) = self.matches.get_mut(row * self.width + at) {
            *element = is_match;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Tail, Token};
    use proptest::prelude::*;

    /// The slow, obvious way: all ways to split the text.
    fn matches(tokens: &[Token], text: &str) -> bool {
        let Some((token, rest)) = tokens.split_first() else { return text.is_empty() };
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        match token {
            Token::Text(expected) => {
                text.strip_prefix(expected.as_str()).is_some_and(|text| matches(rest, text))
            }
            Token::Any => ends.into_iter().any(|end| matches(rest, &text[end..])),
            Token::Part => ends
                .into_iter()
                .any(|end| end > 0 && !text[..end].contains('/') && matches(rest, &text[end..])),
        }
    }

    proptest! {
        #[test]
        fn table_matches_what_all_splits_do(
            tokens in prop::collection::vec(
                prop_oneof![
                    "[a\u{e9}/]{1,2}".prop_map(Token::Text),
                    Just(Token::Any),
                    Just(Token::Part),
                ],
                1..6,
            ),
            text in "[ab\u{e9}/]{0,10}",
        ) {
            let tail = Tail::new(tokens.clone());
            let text = if tokens.last() == Some(&Token::Any) {
                text.as_str()
            } else {
                text.strip_suffix('/').unwrap_or(&text)
            };
            let matched = tail.matches(text);
            // A second `/` at the end is cut off by `matches` alone.
            if text.ends_with('/') && tokens.last() != Some(&Token::Any) {
                return Ok(());
            }
            prop_assert_eq!(matched.is_some(), matches(&tokens, text), "{:?} {}", tokens, text);
            if let Some(wildcards) = matched {
                let mut wildcards = wildcards.into_iter();
                let whole: String = tokens
                    .iter()
                    .map(|token| match token {
                        Token::Text(text) => text.as_str(),
                        _ => wildcards.next().expect("one for each wildcard"),
                    })
                    .collect();
                prop_assert_eq!(whole, text);
            }
        }
    }

    #[test]
    fn pattern_made_to_blow_up_is_linear() {
        let mut tokens = Vec::new();
        for _ in 0..8 {
            tokens.extend([Token::Any, Token::Text("a".to_owned())]);
        }
        tokens.push(Token::Text("b".to_owned()));
        let tail = Tail::new(tokens);
        let began = std::time::Instant::now();
        assert_eq!(tail.matches(&"a".repeat(8_000)), None);
        assert!(began.elapsed().as_secs() < 5);
    }
}
