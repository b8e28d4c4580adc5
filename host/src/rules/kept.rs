//! What a file of rules was before it was removed or emptied, for a moment: editors and deployments
//! do either, and write it again.

use std::time::{Duration, Instant};

/// How long a file has to be missing, or empty, before its rules end. It is written again a good part
/// of a second later by some.
const ABSENCE: Duration = Duration::from_secs(1);

/// What a file was when it was read last.
#[derive(Debug, Default)]
pub(super) struct Kept<T> {
    content: Option<T>,
    /// Since when it is missing or empty, if there was something in it before.
    gone: Option<Instant>,
}

impl<T: AsRef<[u8]>> Kept<T> {
    /// Takes what was read just now; `None` if it is not there. Gives what counts.
    pub(super) fn update(&mut self, content: Option<T>) -> Option<&T> {
        let has_some = |it: &Option<T>| it.as_ref().is_some_and(|it| !it.as_ref().is_empty());
        let is_gone = has_some(&self.content) && !has_some(&content) && {
            self.gone.get_or_insert_with(Instant::now).elapsed() < ABSENCE
        };
        if !is_gone {
            *self = Kept { content, gone: None };
        }
        self.content.as_ref()
    }

    /// Notes that something else is in its place.
    pub(super) fn unreadable(&mut self) {
        self.gone = None;
    }

    /// How long until its rules end, with a reading. `None` if nothing is missing.
    pub(super) fn due_in(&self) -> Option<Duration> {
        self.gone.map(|gone| ABSENCE.saturating_sub(gone.elapsed()))
    }
}

#[cfg(test)]
mod tests {
    use super::Kept;

    #[test]
    fn missing_or_empty_file_is_what_it_was_for_a_moment() {
        for gone in [None, Some(Vec::new())] {
            let mut kept = Kept::default();
            assert_eq!(kept.update(gone.clone()), gone.as_ref());
            assert_eq!(kept.due_in(), None);
            assert_eq!(kept.update(Some(b"a".to_vec())), Some(&b"a".to_vec()));
            assert_eq!(kept.update(gone.clone()), Some(&b"a".to_vec()));
            assert!(kept.due_in().is_some());
            assert_eq!(kept.update(Some(b"b".to_vec())), Some(&b"b".to_vec()));
            assert_eq!(kept.due_in(), None);
        }
    }
}
