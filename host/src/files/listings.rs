//! Listings that were made: few at a time, and one copy of each for all responses.
//!
//! They are made by threads that give way to workers, and wait for the device of their directory
//! alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::fs::FileType;
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::arrangement::Arrangement;
use super::beneath::Root;
use super::hidden::Hidden;
use super::listing::Listing;
use super::listing_text;
use super::open::{OpenError, open};
use super::root_id::RootId;
use crate::cache::{self, Cache};
use crate::disk::{self, JobError, Owner, Place, Progress};
use crate::in_flight::SharedBytes;
use crate::lock::lock;

/// Listings that are made at a time, for each device and root: those of another root wait for none of
/// them here.
const AT_A_TIME: usize = 2;

/// How long one is valid while others are being made.
const VALID: Duration = Duration::from_secs(1);

/// Bytes of listings that are kept, and of a usual one.
pub(super) const LISTING_CACHE_BYTES: u64 = 16 << 20;
const USUAL_ENTRY_BYTES: u64 = 16 << 10;

/// Bytes of an entry besides its text.
const ENTRY_OVERHEAD: u64 = 200;

/// Devices and roots whose permits are kept although none is held.
const DEVICES: usize = 64;

/// A directory of a root, and the arrangement of its listing.
type Key = (RootId, Box<str>, Arrangement);

/// Those of all roots.
pub(super) struct Listings {
    made: Cache<Key, Made>,
    /// For each device and root: one that does not respond keeps no permit of another.
    permits: Mutex<HashMap<(u64, Owner), Arc<Semaphore>>>,
}

#[derive(Clone)]
struct Made {
    listing: MadeListing,
    at: Instant,
}

/// A listing that was made.
#[derive(Clone)]
pub struct MadeListing {
    /// What is sent.
    pub text: SharedBytes,
    /// Its entity tag, as it stands in `ETag`: the same text has the same.
    pub tag: Box<str>,
}

impl Listings {
    pub(super) fn new(bytes: u64) -> Listings {
        let made = cache::unsharded(bytes, USUAL_ENTRY_BYTES, weigh);
        Listings { made, permits: Mutex::default() }
    }

    /// The listing of the directory with this path, as it is now; or as it was a moment ago, if
    /// [`AT_A_TIME`] are being made.
    pub(super) async fn make(
        &self,
        (id, root, hidden): (RootId, &Arc<Root>, &Arc<Hidden>),
        directory: &str,
        arrangement: Arrangement,
        most: usize,
    ) -> Result<MadeListing, OpenError> {
        let path = if directory.is_empty() { "." } else { directory };
        let found = open(root, path).await?;
        if found.kind != FileType::Directory {
            return Err(OpenError::System(Errno::NOTDIR));
        }
        let key = (id, directory.into(), arrangement);
        let recall = || self.made.get(&key).filter(|made| made.at.elapsed() < VALID);
        let place = found.file.place();
        let permits = self.permits_of(place);
        let _permit = match permits.try_acquire() {
            Ok(permit) => permit,
            Err(_) => {
                if let Some(made) = recall() {
                    return Ok(made.listing);
                }
                let late = OpenError::NoResponse(JobError::TimedOut(disk::PATIENCE));
                // An error would mean that the semaphore was closed, which never happens.
                let permit = match timeout(disk::PATIENCE, permits.acquire()).await {
                    Ok(Ok(permit)) => permit,
                    Ok(Err(_)) | Err(_) => return Err(late),
                };
                // Other requests waited for the same listing.
                if let Some(made) = recall() {
                    return Ok(made.listing);
                }
                permit
            }
        };
        let (own_root, own_path) = (Arc::clone(root), path.to_owned());
        let hidden = Arc::clone(hidden);
        let read = move |progress: &Progress| {
            Listing::read((&own_root, &hidden), &found, &own_path, most, || progress.step())
        };
        let read = disk::run_in_background(place, read).await.map_err(OpenError::NoResponse)?;
        let (mut listing, elsewhere) = read.map_err(OpenError::System)?;
        for name in elsewhere {
            // As with other entries: one that cannot be opened is not listed.
            match open(root, &format!("{path}/{name}")).await {
                Ok(target) => listing.add_link(&name, &target),
                Err(OpenError::System(_)) => {}
                // The other links to that device are left out rather than waited for, one by one.
                Err(OpenError::NoResponse(_)) => break,
            }
        }
        let own_directory = directory.to_owned();
        let write = move || {
            let text = listing_text::text(&mut listing, &own_directory, arrangement);
            let tag = tag_of(&text);
            (text, tag)
        };
        let (text, tag) = disk::compute(place.owner, write).await.map_err(OpenError::NoResponse)?;
        // Responses that are still sending the same text share it.
        let text = match self.made.get(&key) {
            Some(made) if *made.listing.text == *text.as_bytes() => made.listing.text,
            _ => SharedBytes::one_copy_of(text.into_bytes()),
        };
        let listing = MadeListing { text, tag };
        self.made.insert(key, Made { listing: listing.clone(), at: Instant::now() });
        Ok(listing)
    }

    fn permits_of(&self, place: Place) -> Arc<Semaphore> {
        let mut permits = lock(&self.permits);
        if permits.len() > DEVICES {
            permits.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        let permits = permits.entry((place.device, place.owner));
        Arc::clone(permits.or_insert_with(|| Arc::new(Semaphore::new(AT_A_TIME))))
    }
}

/// Half a digest is enough: a tag is compared with those of the same URL alone.
fn tag_of(text: &str) -> Box<str> {
    let digest = Sha256::digest(text);
    let half = digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes));
    format!("\"{half:032x}\"").into()
}

fn weigh((_, directory, _): &Key, made: &Made) -> u64 {
    ENTRY_OVERHEAD + (directory.len() + made.listing.text.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::{AT_A_TIME, LISTING_CACHE_BYTES, Listings, RootId};
    use crate::files::arrangement::{Arrangement, Form};
    use crate::files::beneath::Root;
    use crate::files::options::{LISTING_ENTRIES, Links, Resolver};
    use std::fs::write;
    use std::sync::Arc;

    #[test]
    fn responses_with_the_same_listing_share_it() {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path().join("a"), b"").expect("a file");
        let root = Root::open(folder.path(), Resolver::Kernel, Links::Followed).expect("a root");
        let (root, listings) = (Arc::new(root), Listings::new(LISTING_CACHE_BYTES));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let make = || {
            runtime
                .block_on(listings.make(
                    (RootId::default(), &root, &Arc::default()),
                    "",
                    Arrangement::of_query(Form::Json, ""),
                    LISTING_ENTRIES,
                ))
                .ok()
                .expect("made")
                .text
        };
        let (one, same) = (make(), make());
        assert!(one.is_same(&same));
        write(folder.path().join("b"), b"").expect("a file");
        let other = make();
        assert!(!one.is_same(&other) && other.len() > one.len());
        // While others are being made, the last one counts.
        write(folder.path().join("c"), b"").expect("a file");
        let permits = listings.permits_of(root.place());
        let busy: Vec<_> = (0..AT_A_TIME).map(|_| permits.try_acquire()).collect();
        assert!(other.is_same(&make()));
        drop(busy);
        assert!(make().len() > other.len());
    }

    #[test]
    fn listing_of_many_long_names_is_cut() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..3_000 {
            write(folder.path().join(format!("{number:0250}")), b"").expect("a file");
        }
        let root = Root::open(folder.path(), Resolver::Kernel, Links::Followed).expect("a root");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let made = Listings::new(LISTING_CACHE_BYTES);
        let page = runtime.block_on(made.make(
            (RootId::default(), &Arc::new(root), &Arc::default()),
            "",
            Arrangement::of_query(Form::Html, ""),
            LISTING_ENTRIES,
        ));
        let page = page.ok().expect("a page").text;
        let page = String::from_utf8_lossy(&page).into_owned();
        assert!(page.contains("more entries than the 2097 that are shown"));
        assert!(page.len() < 4 << 20);
    }
}
