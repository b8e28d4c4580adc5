//! Listings that were made: few at a time, and one of each for all who are sent it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quick_cache::Weighter;
use quick_cache::sync::Cache;
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::beneath::Root;
use super::listing::{Form, Listing};
use crate::cache;

/// Listings that are made at a time, for the whole server. Each takes a thread that others
/// need to wait for the disk.
const AT_A_TIME: usize = 2;

/// How long one is good for when others are being made.
const GOOD_FOR: Duration = Duration::from_secs(1);

/// Bytes of listings that are remembered, and what one of a usual site takes.
const BYTES: u64 = 16 << 20;
const USUAL_ENTRY_BYTES: u64 = 16 << 10;

/// What an entry takes besides its text.
const ENTRY_OVERHEAD: u64 = 200;

/// Those of one server.
pub(super) struct Listings {
    made: Cache<(Box<str>, Form), Made, Weigh>,
    permits: Semaphore,
}

#[derive(Clone)]
struct Made {
    text: Arc<[u8]>,
    at: Instant,
}

impl Listings {
    pub(super) fn new() -> Listings {
        Listings {
            made: cache::unsharded(BYTES, USUAL_ENTRY_BYTES, Weigh),
            permits: Semaphore::new(AT_A_TIME),
        }
    }

    /// That of the directory with this path, as it is now; or as it was a moment ago, if
    /// that many are being made.
    pub(super) async fn make(
        &self,
        root: &Arc<Root>,
        directory: &str,
        form: Form,
    ) -> Result<Arc<[u8]>, Errno> {
        let key = (directory.into(), form);
        let recall = || self.made.get(&key).filter(|made| made.at.elapsed() < GOOD_FOR);
        let _permit = match self.permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                if let Some(made) = recall() {
                    return Ok(made.text);
                }
                // An error would mean that the semaphore was closed, which nobody does.
                let permit = self.permits.acquire().await.map_err(|_| Errno::IO)?;
                // Others waited for the same.
                if let Some(made) = recall() {
                    return Ok(made.text);
                }
                permit
            }
        };
        let (root, path) = (Arc::clone(root), directory.to_owned());
        let make = move || Ok(Listing::read(&root, &path)?.text(&path, form));
        let text = tokio::task::spawn_blocking(make).await.unwrap_or(Err(Errno::IO))?;
        // Who is still being sent the same shares it.
        let text = match self.made.get(&key) {
            Some(made) if *made.text == *text.as_bytes() => made.text,
            _ => text.into_bytes().into(),
        };
        self.made.insert(key, Made { text: Arc::clone(&text), at: Instant::now() });
        Ok(text)
    }
}

#[derive(Clone)]
struct Weigh;

impl Weighter<(Box<str>, Form), Made> for Weigh {
    fn weight(&self, (directory, _): &(Box<str>, Form), made: &Made) -> u64 {
        ENTRY_OVERHEAD + (directory.len() + made.text.len()) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::{AT_A_TIME, Listings};
    use crate::site::beneath::{Links, Resolver, Root};
    use crate::site::listing::Form;
    use std::fs::write;
    use std::sync::Arc;

    #[test]
    fn who_is_sent_the_same_shares_it() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path().join("a"), b"").expect("a file");
        let root = Root::open(folder.path(), Resolver::Kernel, Links::Followed).expect("a root");
        let (root, listings) = (Arc::new(root), Listings::new());
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let make = || runtime.block_on(listings.make(&root, "", Form::Json)).expect("a listing");
        let (one, same) = (make(), make());
        assert!(Arc::ptr_eq(&one, &same));
        write(folder.path().join("b"), b"").expect("a file");
        let other = make();
        assert!(!Arc::ptr_eq(&one, &other) && other.len() > one.len());
        // While others are being made, the last one counts.
        write(folder.path().join("c"), b"").expect("a file");
        let busy: Vec<_> = (0..AT_A_TIME).map(|_| listings.permits.try_acquire()).collect();
        assert!(Arc::ptr_eq(&other, &make()));
        drop(busy);
        assert!(make().len() > other.len());
    }

    #[test]
    fn many_long_names_make_no_endless_page() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..3_000 {
            write(folder.path().join(format!("{number:0250}")), b"").expect("a file");
        }
        let root = Root::open(folder.path(), Resolver::Kernel, Links::Followed).expect("a root");
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let made = Listings::new();
        let page = runtime.block_on(made.make(&Arc::new(root), "", Form::Html)).expect("a page");
        let page = String::from_utf8_lossy(&page).into_owned();
        assert!(page.contains("<p>Only the first 2097 entries found are shown.</p>"));
        assert!(page.len() < 4 << 20);
    }
}
