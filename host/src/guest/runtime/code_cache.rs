//! Compiled guests, kept on disk: compiling one in Python takes half a minute.
//!
//! What is read from here runs as native code. So the folder and each file in it
//! must belong to the user that runs the server, or to root, and nobody else may be
//! able to write them; anything else is refused. A file's name holds the digest of
//! the guest, the version of innkeeper, and what wasmtime says that compiled code depends on:
//! its own version, its settings, the features of the processor.

use std::ffi::OsString;
use std::fmt;
use std::fs::{self, DirBuilder, File};
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, openat, renameat, unlinkat};
use wasmtime::component::Component;

use crate::guest::digest::Digest;
use crate::named_file;
use crate::text;

/// Files that are kept: compiled guests and functions, and notes of checks that were passed.
/// The oldest goes first.
const KEPT: usize = 64;

/// Bytes of all of them: a day's edits of a guest in Python would have ten times as many.
const KEPT_BYTES: u64 = 1 << 30;

/// Bytes of one of them. A guest in Python, the largest known, has 60 MiB.
const MAX_BYTES: u64 = 512 << 20;

/// What the names of compiled guests end with.
const SUFFIX: &str = ".cwasm";

/// A folder that cannot be used.
#[derive(Debug)]
pub struct CodeCacheError {
    /// Its path.
    pub path: PathBuf,
    /// What is wrong.
    pub problem: CodeCacheProblem,
}

/// What is wrong with a folder.
#[derive(Debug)]
pub enum CodeCacheProblem {
    /// It cannot be made or opened.
    Io(io::Error),
    /// It is not a directory.
    NoDirectory,
    /// Other users could put code there.
    WritableByOthers,
}

impl fmt::Display for CodeCacheError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot keep compiled guests in {}: ", self.path.display())?;
        match &self.problem {
            CodeCacheProblem::Io(error) => write!(f, "{error}; name a directory with --code-cache"),
            CodeCacheProblem::NoDirectory => {
                f.write_str("it is not a directory; name a directory with --code-cache")
            }
            CodeCacheProblem::WritableByOthers => f.write_str(
                "others could put code there; it must belong to the user that runs innkeeper, and \
                 be writable by nobody else (chmod 700)",
            ),
        }
    }
}

impl std::error::Error for CodeCacheError {}

/// A folder of compiled guests.
pub struct CodeCache {
    path: PathBuf,
    folder: File,
}

impl CodeCache {
    /// Opens the folder, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<CodeCache, CodeCacheError> {
        let error = |problem| CodeCacheError { path: path.to_owned(), problem };
        let io = |cause: io::Error| match cause.kind() {
            io::ErrorKind::AlreadyExists => error(CodeCacheProblem::NoDirectory),
            _ => error(CodeCacheProblem::Io(cause)),
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = openat(CWD, path, flags, Mode::empty()).map_err(|cause| io(cause.into()))?;
        let folder = File::from(folder);
        if is_ours(&folder).map_err(io)? {
            Ok(CodeCache { path: path.to_owned(), folder })
        } else {
            Err(error(CodeCacheProblem::WritableByOthers))
        }
    }

    /// Whether [`open`](CodeCache::open) would succeed. Nothing is made.
    pub fn check(path: &Path) -> Result<(), CodeCacheError> {
        let error = |problem| CodeCacheError { path: path.to_owned(), problem };
        let missing = path.ancestors().take_while(|path| !path.exists()).last();
        match missing {
            Some(first) => {
                named_file::can_create(first).map_err(|cause| error(CodeCacheProblem::Io(cause)))
            }
            None if !path.is_dir() => Err(error(CodeCacheProblem::NoDirectory)),
            None => CodeCache::open(path).map(drop),
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The guest with this digest, if it was compiled before.
    pub(super) fn recall(
        &self,
        engine: &wasmtime::Engine,
        digest: Digest,
        is_edited: bool,
    ) -> Option<Component> {
        let whole = self.known(engine, &code_name(digest, engine, false));
        // Only `innkeeper dev` uses code that was compiled from edited functions.
        let edited = || self.known(engine, &code_name(digest, engine, true));
        whole.or_else(|| if is_edited { edited() } else { None })
    }

    /// Keeps the machine code of a guest.
    pub(super) fn keep_code(
        &self,
        engine: &wasmtime::Engine,
        digest: Digest,
        is_edited: bool,
        code: &[u8],
    ) {
        self.keep_or_tell(&code_name(digest, engine, is_edited), code);
    }

    /// The compiled functions that `innkeeper dev` kept, in the form in which it stored them.
    pub(super) fn functions(&self, engine: &wasmtime::Engine) -> Option<Vec<u8>> {
        self.read(&name_of(&"functions", engine)).ok()?
    }

    /// Keeps them.
    pub(super) fn keep_functions(&self, engine: &wasmtime::Engine, functions: &[u8]) {
        self.keep_or_tell(&name_of(&"functions", engine), functions);
    }

    fn keep_or_tell(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.keep(name, bytes) {
            let path = tracing::field::display(self.path.display());
            tracing::warn!(path, %error, "cannot keep compiled guest");
        }
    }

    /// What was compiled and has this name.
    fn known(&self, engine: &wasmtime::Engine, name: &str) -> Option<Component> {
        let file = self.path.join(name);
        let path = tracing::field::display(file.display());
        match self.read(name) {
            Ok(bytes) => match deserialize(engine, &bytes?) {
                Ok(component) => return Some(component),
                Err(error) => {
                    let error = text::error_line(error);
                    tracing::debug!(path, error, "compiled guest cannot be used");
                }
            },
            Err(error) => tracing::warn!(path, %error, "cannot read compiled guest"),
        }
        None
    }

    /// What a decision took on average in the check that was passed under this key, if
    /// one was.
    pub(in crate::guest) fn passed(&self, key: Digest) -> Option<Duration> {
        let told = self.read(&passed_name(key)).ok()??;
        String::from_utf8(told).ok()?.trim().parse().ok().map(Duration::from_nanos)
    }

    /// Notes that a check was passed under this key.
    pub(in crate::guest) fn note_passed(&self, key: Digest, average: Duration) {
        let told = format!("{}\n", average.as_nanos());
        if let Err(error) = self.keep(&passed_name(key), told.as_bytes()) {
            let path = tracing::field::display(self.path.display());
            tracing::debug!(path, %error, "cannot note a passed validation");
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let mut file = match openat(&self.folder, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(rustix::io::Errno::NOENT) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() > MAX_BYTES {
            return Err(io::Error::other("not a compiled guest"));
        }
        if !is_ours(&file)? {
            return Err(io::Error::other("others could have written it; it is not used"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Writes a file that is whole whenever it has its name, even after a crash.
    fn keep(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        // In a container each process has the same number: one that was killed while it
        // wrote must not keep its successors from writing.
        let random = RandomState::new().hash_one(std::process::id());
        let unfinished = format!("{name}.{random:016x}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let file = openat(&self.folder, &unfinished, flags, Mode::RUSR | Mode::WUSR)?;
        let mut file = File::from(file);
        let written = file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| {
            renameat(&self.folder, &unfinished, &self.folder, name).map_err(Into::into)
        });
        if written.is_err() {
            // Without it there is nothing to clear away.
            let _ = unlinkat(&self.folder, &unfinished, AtFlags::empty());
        }
        written.and_then(|()| self.thin_out())
    }

    /// Removes the oldest, so that no more than [`KEPT`] and [`KEPT_BYTES`] remain, and what
    /// a process that was killed had begun to write.
    fn thin_out(&self) -> io::Result<()> {
        let mut kept: Vec<(SystemTime, u64, OsString)> = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let name = entry.file_name();
            if name.as_encoded_bytes().windows(SUFFIX.len()).any(|part| part == SUFFIX.as_bytes()) {
                let metadata = match entry.metadata() {
                    // Another process was quicker.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    metadata => metadata?,
                };
                kept.push((metadata.modified()?, metadata.len(), name));
            }
        }
        kept.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = 0;
        for (before, (_, length, name)) in kept.iter().enumerate() {
            bytes += length;
            // The newest stays, however large it is.
            if before == 0 || before < KEPT && bytes <= KEPT_BYTES {
                continue;
            }
            match unlinkat(&self.folder, name, AtFlags::empty()) {
                // Another process was quicker.
                Ok(()) | Err(rustix::io::Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// Whether only root and this user can have written a file.
fn is_ours(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    let owner = metadata.uid();
    let is_private = metadata.mode() & 0o022 == 0;
    Ok(is_private && (owner == 0 || owner == rustix::process::geteuid().as_raw()))
}

/// It ends as compiled guests do, so that it is thinned out with them.
fn passed_name(key: Digest) -> String {
    format!("{key:#}.passed{SUFFIX}")
}

/// The name of a guest's machine code.
fn code_name(digest: Digest, engine: &wasmtime::Engine, is_edited: bool) -> String {
    let edited = if is_edited { "edited-" } else { "" };
    name_of(&format_args!("{edited}{digest:#}"), engine)
}

/// The name of what this engine can run, and what this version of ours made of it.
fn name_of(what: &impl fmt::Display, engine: &wasmtime::Engine) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    env!("CARGO_PKG_VERSION").hash(&mut compatibility);
    format!("{what}-{:016x}{SUFFIX}", compatibility.finish())
}

/// Makes a component of machine code: the one door through which code gets in that runs.
#[expect(unsafe_code, reason = "compiled code cannot be verified, only trusted")]
pub(super) fn deserialize(engine: &wasmtime::Engine, bytes: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: the bytes must be what wasmtime's compiler gave. Either they come from there
    // directly: `compiler` made them here, or a helper did, which is this program and was
    // started by it, on a socket that no other process has. Or they are from a file that
    // `keep` renamed to its name after all of it was written, in a folder and with an owner
    // and a mode (`is_ours`) that let nobody write it but this user, who could run any code
    // anyway. wasmtime refuses those of another version, of other settings or for another
    // processor. What a compiler that a guest has taken over would give is code of that
    // guest's choice, as it would be if the compiler were part of this process.
    unsafe { Component::deserialize(engine, bytes) }
}

#[cfg(test)]
mod tests {
    use super::{CodeCache, CodeCacheProblem, Duration, KEPT, KEPT_BYTES, SystemTime};
    use crate::guest::{DEFAULT_GUEST, Engine, Facts, GuestLimits, LoadedGuest, PreparedEngine};
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    fn load(cache: &Path) -> LoadedGuest {
        let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
        let engine = engine.keeping_code(CodeCache::open(cache).expect("a cache"));
        LoadedGuest::load(&Arc::new(engine), DEFAULT_GUEST).expect("the default guest")
    }

    fn files(cache: &Path) -> Vec<PathBuf> {
        fs::read_dir(cache).expect("a folder").map(|entry| entry.expect("a file").path()).collect()
    }

    #[test]
    fn what_was_compiled_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("a/b");
        load(&cache);
        let [kept] = &files(&cache)[..] else { panic!("one file") };
        let written = fs::metadata(kept).expect("metadata").modified().expect("a time");
        let again = load(&cache);
        let facts =
            Facts { client: std::net::Ipv4Addr::LOCALHOST.into(), scheme: Default::default() };
        assert!(again.decide_uncached(b"GET /a HTTP/1.1", std::iter::empty(), facts).is_ok());
        let still = fs::metadata(kept).expect("metadata").modified().expect("a time");
        assert_eq!(written, still);
    }

    #[test]
    fn what_a_killed_process_left_half_written_keeps_nobody_from_writing() {
        let folder = tempfile::tempdir().expect("a folder");
        load(folder.path());
        let [kept] = &files(folder.path())[..] else { panic!("one file") };
        // Killed while it wrote, by a process with our number, as in a container.
        let half_written = format!("{}.{}", kept.display(), std::process::id());
        fs::rename(kept, &half_written).expect("renamed");
        fs::write(&half_written, b"half").expect("written");
        load(folder.path());
        assert!(kept.exists() && Path::new(&half_written).exists());
    }

    #[test]
    fn what_is_damaged_or_of_another_version_is_compiled_again() {
        let folder = tempfile::tempdir().expect("a folder");
        load(folder.path());
        let [kept] = &files(folder.path())[..] else { panic!("one file") };
        let good = fs::read(kept).expect("bytes");
        for bad in [&b""[..], b"garbage", &good[..good.len() / 2]] {
            fs::write(kept, bad).expect("written");
            load(folder.path());
            assert_eq!(fs::read(kept).expect("bytes").len(), good.len());
        }
    }

    #[test]
    fn what_others_could_have_written_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        load(folder.path());
        let [kept] = &files(folder.path())[..] else { panic!("one file") };
        fs::set_permissions(kept, Permissions::from_mode(0o666)).expect("a mode");
        let cache = CodeCache::open(folder.path()).expect("a cache");
        let name = kept.file_name().expect("a name").to_str().expect("text");
        assert!(cache.read(name).is_err());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("a mode");
        let error = CodeCache::open(folder.path()).err().expect("refused");
        assert!(matches!(error.problem, CodeCacheProblem::WritableByOthers), "{error}");
    }

    #[test]
    fn the_oldest_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..KEPT + 5 {
            let name = format!("{number}.cwasm");
            let file = File::create(folder.path().join(name)).expect("a file");
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
            file.set_modified(time).expect("a time");
        }
        fs::write(folder.path().join("notes.txt"), "not ours").expect("written");
        load(folder.path());
        assert_eq!(files(folder.path()).len(), KEPT + 1);
        assert!(!folder.path().join("5.cwasm").exists());
        assert!(folder.path().join("6.cwasm").exists());
        // As long as there is room. These take none of it really.
        for (number, length) in [(60, KEPT_BYTES - (1 << 20)), (59, 1 << 20)] {
            let name = format!("{number}.cwasm");
            let file = File::options().write(true).open(folder.path().join(name)).expect("open");
            file.set_len(length).expect("made longer");
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(number))
                .expect("a time");
        }
        CodeCache::open(folder.path()).expect("a cache").thin_out().expect("removed");
        assert!(folder.path().join("60.cwasm").exists());
        assert!(!folder.path().join("59.cwasm").exists());
    }

    #[test]
    fn who_edits_a_guest_compiles_what_is_new_in_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let edited = |text: &str| {
            let (from, to) = (b"the method is not a token", text.as_bytes());
            assert_eq!(from.len(), to.len());
            let at = DEFAULT_GUEST.windows(from.len()).position(|window| window == from);
            let mut guest = DEFAULT_GUEST.to_vec();
            guest[at.expect("its text")..][..to.len()].copy_from_slice(to);
            guest
        };
        let named = |start: &str| {
            files(folder.path())
                .into_iter()
                .filter(|path| {
                    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
                })
                .collect::<Vec<_>>()
        };
        for (count, text) in [(1, "The method is not a token"), (2, "the METHOD is not a token")] {
            let engine = PreparedEngine::for_edits(GuestLimits::default(), 1).expect("an engine");
            let engine = engine.start().expect("threads");
            let engine = engine.keeping_code(CodeCache::open(folder.path()).expect("a cache"));
            let guest = LoadedGuest::load(&Arc::new(engine), &edited(text)).expect("a guest");
            let facts =
                Facts { client: std::net::Ipv4Addr::LOCALHOST.into(), scheme: Default::default() };
            let decision = guest
                .decide_uncached(b"( / HTTP/1.1", std::iter::empty(), facts)
                .expect("a decision");
            assert!(decision.to_string().contains(text), "{decision}");
            assert_eq!(named("edited-").len(), count);
            assert_eq!(named("functions-").len(), 1);
        }
        // A server uses none of it.
        load(folder.path());
        assert_eq!(files(folder.path()).len(), 4);
    }
}
