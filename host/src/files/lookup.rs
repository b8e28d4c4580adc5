//! Finds what a path names beneath the root: a file, an index page, a listing.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FileType;

use super::arrangement::Arrangement;
use super::beneath::{Found, Root};
use super::cache_control::{self, Rule};
use super::caches::Caches;
use super::content::Content;
use super::directory_id::DirectoryId;
use super::encodings::{Accepted, Coding};
use super::found::{FoundFile, Lookup, Recency, SystemError};
use super::hidden::Hidden;
use super::listings::{Codings, MadeListing};
use super::media_type::MediaType;
use super::open::open;
use super::open_file_cache::{OpenFileCache, Wanted};
use super::options::{Options, Resolver};
use super::own_types::MediaTypes;
use super::preload::{is_unchanged, preload};
use super::root_id::RootId;
use super::siblings::siblings;
use super::validators::Validators;
use crate::disk::owner::Registered;

/// Names of a directory's index page, in the order in which they are tried.
pub const INDEX_NAMES: [&str; 2] = ["index.html", "index.htm"];

/// The files beneath one root directory.
pub struct Files {
    pub(super) root: Arc<Root>,
    pub(super) hidden: Arc<Hidden>,
    /// Which directory it is, and where it was when it was opened.
    directory: (DirectoryId, PathBuf),
    id: RootId,
    pub(super) caches: Arc<Caches>,
    compresses: bool,
    lists: bool,
    cache_control: Vec<Rule>,
    media_types: MediaTypes,
    cache_valid: Duration,
    listing_entries: usize,
    ranges: usize,
}

impl Files {
    /// Opens a root directory, which shares these caches with other roots. Every later lookup is
    /// beneath its handle: renaming or replacing the directory does not change what is served.
    pub fn open(path: &Path, options: Options, caches: &Arc<Caches>) -> io::Result<Files> {
        Files::open_as(path, options, caches, Arc::default())
    }

    /// The same, for an owner that is known.
    pub(super) fn open_as(
        path: &Path,
        options: Options,
        caches: &Arc<Caches>,
        registered: Arc<Registered>,
    ) -> io::Result<Files> {
        let root = Root::open_as(path, options.resolver, options.links, registered)?;
        Ok(Files {
            directory: (root.status()?.into(), root.path()),
            hidden: caches.hiding.beneath(&root),
            root: Arc::new(root),
            id: caches.roots.next(),
            caches: Arc::clone(caches),
            compresses: options.compress,
            lists: options.list,
            cache_control: options.cache_control,
            media_types: MediaTypes::with(&options.media_types),
            cache_valid: options.cache_valid,
            listing_entries: options.listing_entries,
            ranges: options.ranges,
        })
    }

    /// Ranges of one request that are sent as parts.
    pub fn max_ranges(&self) -> usize {
        self.ranges
    }

    /// Which directory the root is.
    pub fn id(&self) -> DirectoryId {
        self.directory.0
    }

    /// The path of the root without links, as it was when it was opened.
    pub fn directory(&self) -> &Path {
        &self.directory.1
    }

    /// Whether the root was removed: nothing is beneath it any more.
    pub fn is_removed(&self) -> bool {
        self.root.status().is_ok_and(|status| status.st_nlink == 0)
    }

    /// What it shares with other roots.
    pub fn caches(&self) -> &Arc<Caches> {
        &self.caches
    }

    /// The device that the root is on.
    pub fn device(&self) -> u64 {
        self.root.place().device
    }

    /// How paths are resolved: as in the options, or as the kernel can.
    pub fn resolver(&self) -> Resolver {
        self.root.resolver()
    }

    /// Looks up a path. It is relative, its names are separated by one `/` each, and none of them
    /// is empty, `.` or `..`.
    ///
    /// If the file has a sibling in one of the accepted codings (`style.css.br` beside
    /// `style.css`), the first of them is found instead. A sibling that is older than the file is
    /// passed over: it was not made from this version. Without a sibling the file is compressed in
    /// the first of the codings, unless only ready-made forms are accepted.
    ///
    /// A busy worker may use its last lookup of the path, unless `recency` or a `Cache-Control`
    /// that lets clients keep the file for long asks for the current state.
    pub async fn find(
        &self,
        worker: usize,
        path: &str,
        accepted: &Accepted,
        recency: Recency,
    ) -> Lookup {
        let lookups = self.caches.lookups(worker);
        let now = Instant::now();
        if !lookups.is_busy(now) {
            // Boxed, as each connection would have room for it while it is idle.
            return Box::pin(self.find_now(path, accepted)).await;
        }
        let wanted = Wanted { root: self.id, path, accepted };
        if recency == Recency::Lately
            && let Some(found) = lookups.get(&wanted, now)
            && !self.is_for_long(path, &found)
            && is_unchanged(&found).await
        {
            return found;
        }
        Box::pin(self.find_and_keep(&wanted, lookups, now)).await
    }

    /// Looks up what is wanted, and keeps it for the next time.
    async fn find_and_keep(
        &self,
        wanted: &Wanted<'_>,
        lookups: &OpenFileCache,
        now: Instant,
    ) -> Lookup {
        let found = self.find_now(wanted.path, wanted.accepted).await;
        // The same version need not be read and described again.
        if let Some(known) = lookups.get_stale(wanted)
            && known.is_same(&found)
        {
            lookups.insert(wanted, &known, now, self.cache_valid);
            return known;
        }
        let found = preload(found, self.caches.in_flight).await;
        if found.is_settled() {
            lookups.insert(wanted, &found, now, self.cache_valid);
        }
        found
    }

    /// Whether the `Cache-Control` of this path's file lets clients keep it for long. That there is
    /// no such file must be current too.
    fn is_for_long(&self, path: &str, found: &Lookup) -> bool {
        match found {
            Lookup::File(file) => file.is_for_long,
            _ if self.cache_control.is_empty() => false,
            _ => cache_control::of(path, self.media_types.of(path), &self.cache_control)
                .is_some_and(|said| cache_control::is_for_long(said.as_bytes())),
        }
    }

    async fn find_now(&self, path: &str, accepted: &Accepted) -> Lookup {
        if self.hidden.has(path) {
            return Lookup::Missing;
        }
        let found = match open(&self.root, path).await {
            Ok(found) => found,
            Err(error) => return error.lookup(),
        };
        match found.kind {
            FileType::RegularFile => {}
            FileType::Directory => return Lookup::Directory,
            _ => return Lookup::Missing,
        }
        let media_type = self.media_types.of(path);
        let cache_control = cache_control::of(path, media_type, &self.cache_control);
        if let Some(coding) = media_type.coding() {
            let file = self.describe(path, found, media_type, Some(coding), cache_control);
            return Lookup::File(Arc::new(file));
        }
        let is_compressible = media_type.is_compressible();
        let version = found.version;
        let siblings = siblings(&self.root, path, version, accepted, is_compressible);
        let beside = match siblings.await {
            Ok(beside) => beside,
            Err(error) => return error.lookup(),
        };
        let (coding, found) = match beside.taken {
            Some((coding, sibling)) => (Some(coding), sibling),
            None => (None, found),
        };
        let mut found = self.describe(path, found, media_type, coding, cache_control);
        found.varies = is_compressible || beside.any;
        found.passed_over = beside.passed_over;
        if is_compressible
            && coding.is_none()
            && !accepted.ready_made
            && let Some(&coding) = accepted.codings.first()
        {
            self.compress(&mut found, coding).await;
        }
        Lookup::File(Arc::new(found))
    }

    /// Looks up the index page of this directory; `""` is the root. A directory that has the name
    /// of an index page is passed over.
    pub async fn find_index(
        &self,
        worker: usize,
        directory: &str,
        accepted: &Accepted,
        recency: Recency,
    ) -> Lookup {
        for name in INDEX_NAMES {
            let found = match directory {
                "" => self.find(worker, name, accepted, recency).await,
                _ => {
                    let path = [directory, "/", name].concat();
                    self.find(worker, &path, accepted, recency).await
                }
            };
            if !matches!(found, Lookup::Missing | Lookup::Directory) {
                return found;
            }
        }
        Lookup::Missing
    }

    /// Whether text is compressed on the fly.
    pub fn compresses(&self) -> bool {
        self.compresses
    }

    /// Whether directories may be listed.
    pub fn lists(&self) -> bool {
        self.lists
    }

    /// The listing of this directory; `""` is the root. `None` if there is no such directory, if it
    /// may not be read, or if listings are switched off. It is compressed in the first of these
    /// codings, unless too much is being compressed.
    pub async fn list(
        &self,
        directory: &str,
        arrangement: Arrangement,
        codings: &[Coding],
    ) -> Result<Option<MadeListing>, SystemError> {
        if !self.lists || self.hidden.has(directory) {
            return Ok(None);
        }
        // Boxed: it is rare, and each connection's task would hold room for it.
        match Box::pin(self.caches.listings().make(
            (self.id, &self.root, &self.hidden),
            directory,
            arrangement,
            self.listing_entries,
            self.compresses.then(|| Codings {
                compressor: self.caches.compressor(),
                preferred: codings.first().copied(),
            }),
        ))
        .await
        {
            Ok(listing) => Ok(Some(listing)),
            Err(error) => match error.lookup() {
                Lookup::Error(error) => Err(error),
                _ => Ok(None),
            },
        }
    }

    /// Replaces a file's content by its compressed form in this coding, if that is smaller.
    async fn compress(&self, found: &mut FoundFile, coding: Coding) {
        // Without a tag it is not known which version is cached.
        let caches = &self.caches;
        if self.compresses
            && let Some(tag) = found.validators.tag
            && let Content::File(file) = &found.content
            && let compressed =
                caches.compressor().compress(file, tag, found.length, coding, caches.in_flight)
            && let Some(content) = Box::pin(compressed).await
        {
            found.length = content.len() as u64;
            found.content = Content::Memory(content);
            found.coding = Some(coding);
            found.is_made_now = true;
            found.validators = found.validators.in_coding(coding.name());
            found.tag = found.validators.tag.map(|tag| tag.to_string());
        }
    }

    /// Describes an open file by its handle and its name.
    fn describe(
        &self,
        path: &str,
        found: Found,
        media_type: MediaType,
        coding: Option<Coding>,
        cache_control: Option<String>,
    ) -> FoundFile {
        let (version, now) = (found.version, SystemTime::now());
        let validators = Validators::of(version, now);
        let validators = self.caches.dates.confirm(self.id, path, coding, version, validators, now);
        let said = cache_control.as_deref();
        FoundFile {
            content: Content::File(Arc::new(found.file)),
            length: version.length,
            media_type,
            coding,
            is_made_now: false,
            varies: false,
            passed_over: Vec::new(),
            validators,
            is_for_long: said.is_some_and(|said| cache_control::is_for_long(said.as_bytes())),
            cache_control,
            tag: validators.tag.map(|tag| tag.to_string()),
            whole: OnceLock::new(),
            unmodified: OnceLock::new(),
        }
    }
}

#[cfg(test)]
mod tests;
