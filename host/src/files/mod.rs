//! The site: files beneath one directory, opened safely and described.
//!
//! - [`beneath`]: opens a path beneath the root, in one kernel operation; `walk`: name by name
//!   where that does not tell enough; `mounts`: those that were met.
//! - [`media_type`]: what a file's name tells about its content.
//! - [`encodings`]: which form of a file a client prefers.
//! - `compressed`: files compressed on the fly.
//! - [`validators`]: what tells two versions of a file apart; `dates`: which of them had a date
//!   first.
//! - [`conditions`]: whether the client has this version already.
//! - [`ranges`]: which bytes of a file are wanted.
//! - [`cache_control`]: how long a file may be used without asking again.
//! - [`listing`]: the content of a directory, as a page or as JSON; `listings`: those that
//!   were made.
//! - [`siblings`]: ready-made forms of a file beside it.
//! - `open_file_cache`: what was found a moment ago, for when there is much to do.
//! - `root_monitor`: whether the root is still where it was.
//! - [`mod@read`]: reads a small part of a file without blocking a worker on the disk.

// For `host/fuzz`, which holds it against a reference; everyone else goes by `Files`.
#[doc(hidden)]
pub mod beneath;
pub mod cache_control;
mod compressed;
pub mod conditions;
mod dates;
pub mod encodings;
pub mod listing;
mod listings;
mod media_type;
mod mounts;
mod open_file_cache;
pub mod ranges;
mod read;
mod root_monitor;
pub mod siblings;
pub mod validators;
mod walk;

use std::io;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use rustix::fs::FileType;
use rustix::io::Errno;

use beneath::{Found, Outcome, Patience, Root, Task};
pub use beneath::{Links, Resolver};
use cache_control::Rule;
use compressed::Compressor;
use dates::Dates;
use encodings::{Accepted, Coding};
use listing::Form;
use listings::Listings;
pub use media_type::MediaType;
pub use open_file_cache::OPEN_FILES;
use open_file_cache::OpenFileCache;
pub use read::read;
use siblings::PassedOver;
use validators::{Validators, Version};

use crate::disk::{self, OpenFile, Progress, Unanswered};
use crate::in_flight::{FILES, SharedBytes};

/// Up to this many bytes of a file are read into memory and sent in one system
/// call together with the head. More go from the page cache to the socket without
/// a copy.
pub const SMALL_BYTES: u64 = 32 << 10;

/// Bytes that the fields of an answer may have for it to be kept for the next time, and those
/// that were added to them: twice what a policy with a `Content-Security-Policy` has.
pub const PREPARED_BYTES: usize = 1 << 10;

/// Names of a directory's index page, in the order in which they are tried.
const INDEX_NAMES: [&str; 2] = ["index.html", "index.htm"];

/// A directory whose content is served.
pub struct Files {
    root: Arc<Root>,
    /// What compresses files on the fly, unless that is switched off.
    compressor: Option<Compressor>,
    /// The listings, unless they are switched off.
    listings: Option<Listings>,
    cache_control: Vec<Rule>,
    /// The dates that were told.
    dates: Dates,
    /// One for each worker.
    caches: Arc<[OpenFileCache]>,
}

/// How a site is served.
#[derive(Clone, Debug)]
pub struct Options {
    /// How paths are resolved.
    pub resolver: Resolver,
    /// Whether symbolic links inside the root are followed. None ever leads
    /// outside.
    pub links: Links,
    /// Whether text without a ready-made sibling is compressed on the fly.
    pub compress: bool,
    /// Whether a directory without an index page is listed.
    pub list: bool,
    /// `Cache-Control` by pattern: the first rule that matches counts.
    pub cache_control: Vec<Rule>,
    /// How long a busy worker may take what it found for what is there.
    pub cache_valid: Duration,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            resolver: Resolver::Kernel,
            links: Links::Followed,
            compress: true,
            list: false,
            cache_control: Vec::new(),
            cache_valid: Duration::from_secs(1),
        }
    }
}

/// What a path names.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A regular file, open for reading.
    File(Arc<FoundFile>),
    /// A directory.
    Directory,
    /// Nothing that is served: nothing at all, a way out of the root, a loop of
    /// symbolic links, a FIFO, a socket or a device.
    Missing,
    /// Something that this process may not read.
    Forbidden,
    /// The system could not tell.
    Error(SystemError),
}

/// What keeps the system from opening or reading something that may be there.
#[derive(Clone, Copy, Debug)]
pub enum SystemError {
    /// It is out of descriptors or memory now.
    Exhausted(Errno),
    /// The file system failed.
    Failed(Errno),
    /// It gave no answer in time.
    Unanswered(Unanswered),
}

/// A regular file beneath the root, and what its handle told about it.
#[derive(Debug)]
pub struct FoundFile {
    /// The content.
    pub content: Content,
    /// Its length in bytes when it was opened.
    pub length: u64,
    /// What the name that was asked for tells about its content.
    pub media_type: MediaType,
    /// The coding of its content, if the media type is that of what it decodes to.
    pub coding: Option<Coding>,
    /// Whether it was compressed on the fly: how it is sent depends on how much there is to do.
    pub is_made_now: bool,
    /// Whether another client may get it in another coding.
    pub varies: bool,
    /// Siblings that are there and were not sent in its place.
    pub passed_over: Vec<(Coding, PassedOver)>,
    /// What tells this version from others.
    pub validators: Validators,
    /// The value of `Cache-Control`, if anything is said about it.
    pub cache_control: Option<String>,
    /// Whether that lets clients keep it for long.
    pub is_for_long: bool,
    /// The entity tag as it stands in a field.
    pub tag: Option<String>,
    /// What the one who serves it made of all that, for the next time: the answer
    /// that sends it whole.
    pub whole: OnceLock<Prepared>,
    /// And the answer to one who has it.
    pub unmodified: OnceLock<Prepared>,
}

/// The fields of an answer.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// The status of that answer.
    pub status: u16,
    /// What was asked to be among the fields.
    pub added: Arc<[u8]>,
    /// Field lines, as they stand in it: at most [`PREPARED_BYTES`].
    pub lines: Arc<[u8]>,
}

/// Of when an answer may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recency {
    /// As it is now.
    Now,
    /// As it was within the last second, if the worker is busy.
    Lately,
}

/// Where the content of a file is.
#[derive(Clone, Debug)]
pub enum Content {
    /// In the file with this handle.
    File(Arc<OpenFile>),
    /// In memory: it was compressed, or is small and read.
    Memory(SharedBytes),
}

impl Files {
    /// Opens a directory to serve from. Every later look is beneath this handle:
    /// renaming or replacing the directory does not change what is served. It is
    /// looked at by this many workers.
    pub fn open(root: &Path, options: Options, workers: NonZeroUsize) -> io::Result<Files> {
        Ok(Files {
            root: Arc::new(Root::open(root, options.resolver, options.links)?),
            compressor: options.compress.then(Compressor::new),
            listings: options.list.then(Listings::new),
            cache_control: options.cache_control,
            dates: Dates::new(),
            caches: (0..workers.get())
                .map(|_| OpenFileCache::one_of(workers.get(), options.cache_valid))
                .collect(),
        })
    }

    /// The device that the root is on.
    pub fn device(&self) -> u64 {
        self.root.place().device
    }

    /// How paths are resolved: as asked for, or what the kernel can do.
    pub fn resolver(&self) -> Resolver {
        self.root.resolver()
    }

    /// Looks for what this path names. The path is relative, its names are
    /// separated by one `/` each, and none of them is empty, `.` or `..`.
    ///
    /// If the file has a sibling in one of these codings (`style.css.br` beside
    /// `style.css`), the first of them is found instead. A sibling that is older
    /// than the file is passed over: it was not made from this version. Without a
    /// sibling the file is compressed, in the first of these codings, unless what is sent must
    /// lie ready.
    ///
    /// If this worker is busy, what it found here a moment ago counts; unless it is to be as it
    /// is now, as is what `Cache-Control` lets clients keep for long.
    pub async fn find(
        &self,
        worker: usize,
        path: &str,
        accepted: &Accepted,
        recency: Recency,
    ) -> Lookup {
        let cache = &self.caches[worker % self.caches.len()];
        let now = Instant::now();
        if !cache.is_busy(now) {
            return self.find_now(path, accepted).await;
        }
        if recency == Recency::Lately
            && let Some(found) = cache.recall(path, accepted, now)
            && !self.is_for_long(path, &found)
            && found.is_unchanged().await
        {
            return found;
        }
        let found = self.find_now(path, accepted).await;
        // The same version need not be read and described again.
        if let Some(known) = cache.recall_whenever(path, accepted)
            && known.is_same(&found)
        {
            cache.remember(path, accepted, &known, now);
            return known;
        }
        let found = hold(found).await;
        if found.is_settled() {
            cache.remember(path, accepted, &found, now);
        }
        found
    }

    /// Whether what is said of this path's file lets clients keep it for long. That there is none
    /// must not be told of it from a moment ago either.
    fn is_for_long(&self, path: &str, found: &Lookup) -> bool {
        match found {
            Lookup::File(file) => file.is_for_long,
            _ if self.cache_control.is_empty() => false,
            _ => cache_control::of(path, MediaType::of(path), &self.cache_control)
                .is_some_and(|said| cache_control::is_for_long(said.as_bytes())),
        }
    }

    async fn find_now(&self, path: &str, accepted: &Accepted) -> Lookup {
        let found = match self.look(path).await {
            Ok(found) => found,
            Err(trouble) => return trouble.lookup(),
        };
        match found.kind {
            FileType::RegularFile => {}
            FileType::Directory => return Lookup::Directory,
            _ => return Lookup::Missing,
        }
        let media_type = MediaType::of(path);
        let cache_control = cache_control::of(path, media_type, &self.cache_control);
        if let Some(coding) = media_type.coding() {
            let file = self.describe(path, found, media_type, Some(coding), cache_control);
            return Lookup::File(Arc::new(file));
        }
        let is_compressible = media_type.is_compressible();
        let version = found.version;
        let beside = match self.siblings(path, version, accepted, is_compressible).await {
            Ok(beside) => beside,
            Err(trouble) => return trouble.lookup(),
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

    /// Looks for the index page of this directory; `""` is the root.
    ///
    /// A directory that bears the name of an index page is passed over.
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

    /// What is in this directory; `""` is the root. `None` if there is no such directory, if
    /// it may not be read, or if listings are switched off.
    pub async fn list(
        &self,
        directory: &str,
        form: Form,
    ) -> Result<Option<SharedBytes>, SystemError> {
        let Some(listings) = &self.listings else { return Ok(None) };
        // Boxed, as it is rare and each connection's task would have room for it.
        match Box::pin(listings.make(&self.root, directory, form)).await {
            Ok(text) => Ok(Some(text)),
            Err(trouble) => match trouble.lookup() {
                Lookup::Error(error) => Err(error),
                _ => Ok(None),
            },
        }
    }

    /// Replaces a file's content by what it is in this coding, if that is worth it.
    async fn compress(&self, found: &mut FoundFile, coding: Coding) {
        // Without a tag it cannot be told which version is remembered.
        if let Some(compressor) = &self.compressor
            && let Some(tag) = found.validators.tag
            && let Content::File(file) = &found.content
            && let Some(content) =
                Box::pin(compressor.compress(file, tag, found.length, coding)).await
        {
            found.length = content.len() as u64;
            found.content = Content::Memory(content);
            found.coding = Some(coding);
            found.is_made_now = true;
            found.validators = found.validators.in_coding(coding.name());
            found.tag = found.validators.tag.map(|tag| tag.to_string());
        }
    }

    /// A file, with what its handle and its name tell.
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
        let validators = self.dates.confirm(path, coding, version, validators, now);
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

    async fn look(&self, path: &str) -> Result<Found, Trouble> {
        look(&self.root, path).await
    }
}

/// Why there is nothing to be had.
enum Trouble {
    /// The system says so.
    System(Errno),
    /// It says nothing.
    Unanswered(Unanswered),
}

impl Trouble {
    /// The outcome of a lookup that failed so.
    fn lookup(self) -> Lookup {
        match self {
            Trouble::System(errno) => failed(errno),
            Trouble::Unanswered(why) => Lookup::Error(SystemError::Unanswered(why)),
        }
    }
}

/// Opens what the path names. What the kernel has at hand of a local file system is opened here
/// and now. The rest could wait, and is for threads that may: each device is asked by its own.
async fn look(root: &Arc<Root>, path: &str) -> Result<Found, Trouble> {
    match root.look(path, Patience::Cached) {
        Err(Errno::AGAIN) => {}
        found => return found.map_err(Trouble::System),
    }
    let (mut place, mut task) = (root.place(), Task::Whole(path.to_owned()));
    loop {
        let root = Arc::clone(root);
        let work = move |_: &Progress| root.look_on(place, task, Patience::Wait);
        match disk::run(place, work).await.map_err(Trouble::Unanswered)? {
            Outcome::Done(found) => return found.map_err(Trouble::System),
            Outcome::Elsewhere(next, rest) => (place, task) = (next, rest),
        }
    }
}

impl Lookup {
    /// Whether it may be remembered. A file only if it was left alone for a moment, so that its
    /// version can be told from the next, and only with the validators that it keeps.
    fn is_settled(&self) -> bool {
        match self {
            Lookup::File(file) => file.validators.are_final,
            Lookup::Directory | Lookup::Missing => true,
            Lookup::Forbidden | Lookup::Error(_) => false,
        }
    }

    /// Whether both are the same version of a file, in the same form.
    fn is_same(&self, other: &Lookup) -> bool {
        let described = |lookup: &Lookup| match lookup {
            Lookup::File(file) => file.tag.clone().map(|tag| {
                let said = (file.cache_control.clone(), file.varies, file.passed_over.clone());
                (tag, file.validators, file.coding, said)
            }),
            _ => None,
        };
        described(self).is_some_and(|one| described(other) == Some(one))
    }

    /// Whether an open file still has the version that it was found with: it may
    /// have been rewritten in place.
    async fn is_unchanged(&self) -> bool {
        match self {
            Lookup::File(found) => match (&found.content, found.validators.tag) {
                (Content::File(file), Some(tag)) => {
                    version(file).await.is_some_and(|version| tag.is_of(version))
                }
                _ => true,
            },
            _ => true,
        }
    }
}

/// Reads what is small into memory. What changes meanwhile is left as it is, and so
/// is what somebody else has too.
async fn hold(mut found: Lookup) -> Lookup {
    let content = match &found {
        Lookup::File(file) if file.length <= SMALL_BYTES && found.is_settled() => {
            let Content::File(handle) = &file.content else { return found };
            if FILES.is_full() {
                return found;
            }
            let length = usize::try_from(file.length).unwrap_or(usize::MAX);
            match read(handle, 0, length).await {
                Ok(content) if content.len() == length && found.is_unchanged().await => content,
                _ => return found,
            }
        }
        _ => return found,
    };
    if let Lookup::File(file) = &mut found
        && let Some(file) = Arc::get_mut(file)
    {
        file.content = Content::Memory(content.into());
    }
    found
}

/// The version that an open file has now, if that can be told.
async fn version(file: &Arc<OpenFile>) -> Option<Version> {
    let told = if file.place().is_local() {
        beneath::version(file)
    } else {
        let (place, file) = (file.place(), Arc::clone(file));
        disk::run(place, move |_: &Progress| beneath::version(&file)).await.ok()?
    };
    told.ok().map(|(_, version)| version)
}

/// Sorts out why opening failed.
fn failed(errno: Errno) -> Lookup {
    match errno {
        // ELOOP: symbolic links that lead in circles, or a magic link. EXDEV: a
        // way out of the root. ENXIO: a socket, or a device without driver.
        // EINVAL and EILSEQ: a name that the file system cannot hold.
        Errno::NOENT
        | Errno::NOTDIR
        | Errno::LOOP
        | Errno::XDEV
        | Errno::NXIO
        | Errno::NODEV
        | Errno::NAMETOOLONG
        | Errno::INVAL
        | Errno::ILSEQ => Lookup::Missing,
        Errno::ACCESS | Errno::PERM => Lookup::Forbidden,
        // EAGAIN: another program has a lease on it and was asked to give it up.
        Errno::MFILE | Errno::NFILE | Errno::NOMEM | Errno::AGAIN => {
            Lookup::Error(SystemError::Exhausted(errno))
        }
        _ => Lookup::Error(SystemError::Failed(errno)),
    }
}
