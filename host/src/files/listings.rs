//! Listings that were made: few at a time, and one copy of each for all responses.
//!
//! They are made by threads that give way to workers, and wait for the device of their directory
//! alone. Each is compressed once for each coding, as long as it stays the same.

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
use super::compressed::{Compressor, is_worth_it};
use super::encodings::{CODINGS, Coding};
use super::hidden::Hidden;
use super::listing::Listing;
use super::listing_text;
use super::open::{OpenError, open};
use super::root_id::RootId;
use crate::cache::shared::SharedCache;
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
    made: SharedCache<Key, Made>,
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
    /// The text of it.
    text: SharedBytes,
    /// Half the digest of the text.
    digest: u128,
    /// The same in the codings in which it was requested, by their places in [`CODINGS`].
    coded: [Option<SharedBytes>; CODINGS.len()],
}

/// What a client gets of a listing.
pub struct ListingForm<'a> {
    /// What is sent.
    pub content: &'a SharedBytes,
    /// Its coding.
    pub coding: Option<Coding>,
    /// Its entity tag, as it stands in `ETag`: the same content has the same.
    pub tag: String,
}

/// What compresses listings, and the coding that the client prefers, if it is one.
#[derive(Clone, Copy)]
pub(super) struct Codings<'a> {
    pub(super) compressor: &'a Compressor,
    pub(super) preferred: Option<Coding>,
}

impl MadeListing {
    /// The form in the first of these codings, if there is that one, or else the plain text.
    pub fn form(&self, codings: &[Coding]) -> ListingForm<'_> {
        let coded = codings.first().and_then(|&coding| Some((coding, self.in_coding(coding)?)));
        let digest = self.digest;
        match coded {
            Some((coding, content)) => {
                let tag = format!("\"{digest:032x}-{}\"", coding.name());
                ListingForm { content, coding: Some(coding), tag }
            }
            None => {
                let tag = format!("\"{digest:032x}\"");
                ListingForm { content: &self.text, coding: None, tag }
            }
        }
    }

    /// Whether a client may get it in a coding.
    pub fn is_compressible(&self) -> bool {
        is_worth_it(self.text.len() as u64)
    }

    fn in_coding(&self, coding: Coding) -> Option<&SharedBytes> {
        self.coded
            .iter()
            .zip(CODINGS)
            .find_map(|(coded, of)| coded.as_ref().filter(|_| of == coding))
    }

    fn bytes(&self) -> usize {
        let coded = self.coded.iter().flatten().map(|coded| coded.len());
        self.text.len() + coded.sum::<usize>()
    }
}

impl Listings {
    pub(super) fn new(bytes: u64) -> Listings {
        let made = SharedCache::new(bytes, USUAL_ENTRY_BYTES, weigh);
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
        codings: Option<Codings<'_>>,
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
            let digest = digest_of(&text);
            (text, digest)
        };
        let written = disk::compute(place.owner, write).await;
        let (text, digest) = written.map_err(OpenError::NoResponse)?;
        // Responses that are still sending the same text share it.
        let mut listing = match self.made.get(&key) {
            Some(made) if *made.listing.text == *text.as_bytes() => made.listing,
            _ => {
                let text = SharedBytes::one_copy_of(text.into_bytes());
                MadeListing { text, digest, coded: Default::default() }
            }
        };
        if let Some(Codings { compressor, preferred: Some(coding) }) = codings
            && listing.in_coding(coding).is_none()
        {
            let coded = compressor.compress_text(&listing.text, place.owner, coding).await;
            let place = listing.coded.iter_mut().zip(CODINGS).find(|(_, of)| *of == coding);
            if let Some((place, _)) = place {
                *place = coded;
            }
        }
        self.made.insert(
            place.owner.number(),
            key,
            Made { listing: listing.clone(), at: Instant::now() },
        );
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
fn digest_of(text: &str) -> u128 {
    let digest = Sha256::digest(text);
    digest.first_chunk().map_or(0, |bytes| u128::from_be_bytes(*bytes))
}

fn weigh((_, directory, _): &Key, made: &Made) -> u64 {
    ENTRY_OVERHEAD + (directory.len() + made.listing.bytes()) as u64
}

#[cfg(test)]
mod tests {
    use super::{AT_A_TIME, Codings, LISTING_CACHE_BYTES, Listings, RootId};
    use crate::files::arrangement::{Arrangement, Form};
    use crate::files::beneath::Root;
    use crate::files::compressed::Compressor;
    use crate::files::encodings::Coding;
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
                    None,
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
    fn listing_is_compressed_once_for_each_coding() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = Root::open(folder.path(), Resolver::Kernel, Links::Followed).expect("a root");
        let (root, listings) = (Arc::new(root), Listings::new(LISTING_CACHE_BYTES));
        let compressor = Compressor::new(1 << 20);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.expect("a runtime");
        let hidden = Arc::default();
        let make = |preferred| {
            let made = listings.make(
                (RootId::default(), &root, &hidden),
                "",
                Arrangement::of_query(Form::Html, ""),
                LISTING_ENTRIES,
                Some(Codings { compressor: &compressor, preferred }),
            );
            runtime.block_on(made).ok().expect("made")
        };
        let plain = make(None);
        assert!(plain.is_compressible() && plain.form(&[Coding::Gzip]).coding.is_none());
        let (gzip, brotli) = (make(Some(Coding::Gzip)), make(Some(Coding::Brotli)));
        let again = make(Some(Coding::Gzip));
        let (gzip, brotli) = (gzip.form(&[Coding::Gzip]), brotli.form(&[Coding::Brotli]));
        let again = again.form(&[Coding::Gzip]);
        assert!(again.content.is_same(gzip.content) && again.tag == gzip.tag);
        assert!(gzip.content.len() < plain.text.len() && brotli.content.len() < plain.text.len());
        assert!(gzip.tag.ends_with("-gzip\"") && brotli.tag.ends_with("-br\""));
        write(folder.path().join("b"), b"").expect("a file");
        assert_ne!(make(Some(Coding::Gzip)).form(&[Coding::Gzip]).tag, gzip.tag);
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
            None,
        ));
        let page = page.ok().expect("a page").text;
        let page = String::from_utf8_lossy(&page).into_owned();
        assert!(page.contains("more entries than the 2097 that are shown"));
        assert!(page.len() < 4 << 20);
    }
}
