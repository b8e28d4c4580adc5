//! The part of a pattern that has wildcards in it, matched in time that is linear in the text: in one
//! pass, or in one for each token if placeholders stand before a `*`. No pattern blows up.

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

    /// The text before the first wildcard, if there is one.
    #[cfg(feature = "rules")]
    pub(crate) fn start(&self) -> Option<&str> {
        match self.tokens.first() {
            Some(Token::Text(text)) => Some(text),
            _ => None,
        }
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
            tokens => {
                let wildcards = from_the_end(tokens, text)?;
                if is_decided_from_the_end(tokens) {
                    return Some(wildcards);
                }
                Table::of(tokens, text).walk(tokens, text)
            }
        }
    }

    /// The passes over a text that a match needs at most, beside looks at its start and its end.
    #[cfg(feature = "rules")]
    pub(crate) fn passes(&self) -> u32 {
        match &*self.tokens {
            [Token::Any] | [Token::Any, Token::Text(_)] | [Token::Text(_), Token::Any] => 0,
            tokens if is_decided_from_the_end(tokens) => 1,
            // One for each row of the table, and the one before it.
            tokens => u32::try_from(tokens.len()).unwrap_or(u32::MAX).saturating_add(2),
        }
    }
}

/// Whether what [`from_the_end`] finds is the match: no placeholder stands before a `*`. Only such a
/// one may fail at a `/` where a text further to the left would do.
fn is_decided_from_the_end(tokens: &[Token]) -> bool {
    let any = tokens.iter().rposition(|token| *token == Token::Any);
    let part = tokens.iter().position(|token| *token == Token::Part);
    any.zip(part).is_none_or(|(any, part)| any < part)
}

/// What each wildcard stands for if each text stands as far to the right as the ones behind it let it.
/// One pass over the text. Behind the last `*` it holds placeholders against slashes, before it not:
/// if there is nothing, nothing matches.
fn from_the_end<'p>(tokens: &[Token], text: &'p str) -> Option<Vec<&'p str>> {
    #[cfg(test)]
    tests::count(text.len());
    // Most texts fail at one of their ends.
    if let Some(Token::Text(start)) = tokens.first()
        && !text.starts_with(start.as_str())
    {
        return None;
    }
    let mut wildcards = Vec::new();
    let mut end = text.len();
    // The wildcard whose start is not known yet. It stands for the text up to `end`.
    let mut open: Option<&Token> = None;
    let mut is_behind_stars = true;
    for (row, token) in tokens.iter().enumerate().rev() {
        let before = text.get(..end)?;
        let start = match (open, token) {
            (None, Token::Text(expected)) => {
                end = before.strip_suffix(expected.as_str())?.len();
                continue;
            }
            (None, wildcard) => {
                open = Some(wildcard);
                continue;
            }
            (Some(wildcard), token) => {
                let shortest = match wildcard {
                    Token::Part => before.char_indices().next_back()?.0,
                    _ => end,
                };
                match token {
                    Token::Text(expected) if row == 0 => {
                        (expected.len() <= shortest).then_some(expected.len())?
                    }
                    Token::Text(expected) => {
                        text.get(..shortest)?.rfind(expected.as_str())? + expected.len()
                    }
                    _ => shortest,
                }
            }
        };
        let value = text.get(start..end)?;
        is_behind_stars &= open == Some(&Token::Part);
        if is_behind_stars && value.contains('/') {
            return None;
        }
        wildcards.push(value);
        (end, open) = match token {
            Token::Text(expected) => (start - expected.len(), None),
            wildcard => (start, Some(wildcard)),
        };
    }
    if let Some(wildcard) = open {
        let value = text.get(..end)?;
        is_behind_stars &= *wildcard == Token::Part;
        if *wildcard == Token::Part && value.is_empty() || is_behind_stars && value.contains('/') {
            return None;
        }
        wildcards.push(value);
    } else if end > 0 {
        return None;
    }
    wildcards.reverse();
    Some(wildcards)
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
        if let Some(last) = table.matches.last_mut() {
            *last = true;
        }
        let bytes = text.as_bytes();
        for (row, token) in tokens.iter().enumerate().rev() {
            #[cfg(test)]
            tests::count(width);
            let (rows, next) = table.matches.split_at_mut((row + 1) * width);
            let this = rows.get_mut(row * width..).unwrap_or_default();
            match token {
                Token::Text(expected) => {
                    let behind = next.get(expected.len()..).unwrap_or_default();
                    for (at, (is_match, _)) in
                        this.iter_mut().zip(behind).enumerate().filter(|(_, (_, next))| **next)
                    {
                        let found = bytes.get(at..).unwrap_or_default();
                        *is_match = found.starts_with(expected.as_bytes());
                    }
                }
                Token::Any => {
                    let mut is_later = false;
                    for (at, (is_match, next)) in this.iter_mut().zip(&*next).enumerate().rev() {
                        is_later = is_later || *next && text.is_char_boundary(at);
                        *is_match = is_later;
                    }
                }
                Token::Part => {
                    let mut is_later = false;
                    let next = next.get(1..width).unwrap_or_default();
                    let places = this.iter_mut().zip(next).zip(bytes).enumerate();
                    for (at, ((is_match, next), byte)) in places.rev() {
                        is_later =
                            *byte != b'/' && (is_later || *next && text.is_char_boundary(at + 1));
                        *is_match = is_later;
                    }
                }
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
}

#[cfg(test)]
pub(crate) mod tests {
    use super::{Table, Tail, Token, from_the_end, is_decided_from_the_end};
    use proptest::prelude::*;
    use std::cell::Cell;

    thread_local! {
        /// Bytes of texts that were looked at.
        static STEPS: Cell<usize> = const { Cell::new(0) };
    }

    pub(super) fn count(steps: usize) {
        STEPS.set(STEPS.get() + steps);
    }

    /// The bytes that were looked at since the last call.
    pub(crate) fn steps() -> usize {
        STEPS.replace(0)
    }

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

    /// The same with texts that stand side by side as one, as in patterns.
    fn merged(tokens: Vec<Token>) -> Vec<Token> {
        let mut merged: Vec<Token> = Vec::new();
        for token in tokens {
            match (merged.last_mut(), token) {
                (Some(Token::Text(before)), Token::Text(text)) => before.push_str(&text),
                (_, token) => merged.push(token),
            }
        }
        merged
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
            let tokens = merged(tokens);
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
            let by_table = Table::of(&tokens, text).walk(&tokens, text);
            prop_assert_eq!(&matched, &by_table, "{:?} {}", tokens, text);
            if is_decided_from_the_end(&tokens) && tokens.iter().any(|token| !matches!(token, Token::Text(_))) {
                prop_assert_eq!(from_the_end(&tokens, text), by_table, "{:?} {}", tokens, text);
            }
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
        let text = "a-".repeat(4_000);
        for wildcard in [Token::Any, Token::Part] {
            let mut tokens = Vec::new();
            for _ in 0..7 {
                tokens.extend([wildcard.clone(), Token::Text("a".to_owned())]);
            }
            tokens.extend([Token::Any, Token::Text("b".to_owned()), Token::Any]);
            let tail = Tail::new(tokens);
            steps();
            assert_eq!(tail.matches(&text), None);
            assert!(tail.matches(&format!("{text}b")).is_some());
            assert!(steps() <= 2 * (tail.passes() as usize) * (text.len() + 2));
        }
    }
}
