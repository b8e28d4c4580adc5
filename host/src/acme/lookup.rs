//! Challenges, as the server finds them: it asks the fetcher for all of them, as they may be those of
//! another server that shares its folder.
//!
//! Anyone may ask for a challenge, before limits. So all who wait share one question: however many there
//! are, the fetcher is asked once in [some milliseconds](PAUSE), and none waits for those before it.

use std::future::Future;
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::protocol::Challenge;

/// How long a client waits for a challenge: reading files takes less, and authorities wait for ten
/// seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The pause between two questions.
const PAUSE: Duration = Duration::from_millis(20);

/// How long a challenge that was found is taken for one that is there.
const KNOWN: Duration = Duration::from_secs(1);

/// What was found last.
#[derive(Default)]
pub(super) struct Lookup(Mutex<Option<Listed>>);

struct Listed {
    /// When the question was asked.
    asked: Instant,
    challenges: Vec<Challenge>,
}

impl Lookup {
    /// The challenge that is asked for, of those that `ask` tells.
    pub(super) async fn find<F>(
        &self,
        is_wanted: impl Fn(&Challenge) -> bool,
        ask: impl Fn() -> F,
    ) -> Option<Challenge>
    where
        F: Future<Output = Option<Vec<Challenge>>>,
    {
        let found = timeout(PATIENCE, async {
            let wanted = Instant::now();
            let mut listed = self.0.lock().await;
            let found = |listed: &Option<Listed>, since: Instant| {
                let listed = listed.as_ref().filter(|listed| listed.asked >= since)?;
                Some(listed.challenges.iter().find(|challenge| is_wanted(challenge)).cloned())
            };
            let recent = wanted.checked_sub(KNOWN).unwrap_or(wanted);
            if let Some(Some(challenge)) = found(&listed, recent) {
                return Some(challenge);
            }
            // Asked by another one that was waiting, after this one came.
            if let Some(found) = found(&listed, wanted) {
                return found;
            }
            if let Some(last) = &*listed {
                sleep(PAUSE.saturating_sub(last.asked.elapsed())).await;
            }
            let asked = Instant::now();
            let challenges = ask().await.unwrap_or_default();
            *listed = Some(Listed { asked, challenges });
            found(&listed, asked).flatten()
        });
        found.await.ok().flatten()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::{Duration, Instant};

    use super::Lookup;
    use crate::acme::challenges::challenge;
    use crate::acme::protocol::Challenge;

    fn challenges(token: &str) -> Option<Vec<Challenge>> {
        let name = "a.example".parse().expect("a name");
        Some(vec![challenge(&name, token, &format!("{token}.x"))])
    }

    #[tokio::test]
    async fn flood_of_questions_is_few_to_the_fetcher_and_keeps_none_waiting() {
        let lookup = Arc::new(Lookup::default());
        let asked = Arc::new(AtomicUsize::new(0));
        let began = Instant::now();
        let find = |token: &'static str| {
            let (lookup, asked) = (Arc::clone(&lookup), Arc::clone(&asked));
            tokio::spawn(async move {
                let ask = || async {
                    asked.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                    challenges("there")
                };
                lookup.find(|challenge| challenge.token == token, ask).await
            })
        };
        let flood: Vec<_> = (0..5_000).map(|_| find("AAAA")).collect();
        tokio::time::sleep(Duration::from_millis(5)).await;
        let found = find("there").await.expect("no panic");
        assert_eq!(found.map(|it| it.key_authorization).as_deref(), Some("there.x"));
        for sought in flood {
            assert_eq!(sought.await.expect("no panic"), None);
        }
        let most = began.elapsed().as_millis() / 20 + 2;
        assert!(u128::try_from(asked.load(Ordering::Relaxed)).expect("few") <= most);
        assert!(began.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn challenge_that_comes_later_is_found() {
        let lookup = Lookup::default();
        let token = |challenge: &Challenge| challenge.token == "there";
        assert_eq!(lookup.find(token, || async { None }).await, None);
        assert_eq!(lookup.find(token, || async { challenges("other") }).await, None);
        assert!(lookup.find(token, || async { challenges("there") }).await.is_some());
        // Of those that were found just now.
        assert!(lookup.find(token, || async { panic!("asked again") }).await.is_some());
    }

    #[tokio::test]
    async fn one_that_gives_up_keeps_no_other_waiting() {
        let lookup = Arc::new(Lookup::default());
        let other = Arc::clone(&lookup);
        let gone = tokio::spawn(async move {
            other.find(|_| true, std::future::pending::<Option<Vec<Challenge>>>).await
        });
        tokio::task::yield_now().await;
        gone.abort();
        assert!(lookup.find(|_| true, || async { challenges("there") }).await.is_some());
    }
}
