//! Compiled guests, kept on disk: compiling one in Python takes half a minute.
//!
//! A file's name holds the digest of the guest, the version of innkeeper, and what wasmtime says
//! that compiled code depends on: its own version, its settings, the features of the processor.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::time::Duration;

use wasmtime::component::Component;

use super::code_directory::{CodeDirectory, CodeDirectoryError, SUFFIX};
use super::machine_code::deserialize;
use crate::guest::digest::Digest;
use crate::text;

/// A directory of compiled guests.
pub struct CodeCache {
    directory: CodeDirectory,
}

impl CodeCache {
    /// Opens the directory, and makes it if it is not there.
    pub fn open(path: &Path) -> Result<CodeCache, CodeDirectoryError> {
        CodeDirectory::open(path).map(|directory| CodeCache { directory })
    }

    /// Whether [`open`](CodeCache::open) would succeed. Nothing is made.
    pub fn check(path: &Path) -> Result<(), CodeDirectoryError> {
        CodeDirectory::check(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The guest with this digest, if it was compiled before.
    pub(super) fn recall(
        &self,
        engine: &wasmtime::Engine,
        digest: Digest,
        is_edited: bool,
    ) -> Option<Component> {
        let whole = self.component(engine, &code_name(digest, engine, false));
        // Only `innkeeper dev` uses code that was compiled from edited functions.
        let edited = || self.component(engine, &code_name(digest, engine, true));
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
        self.write_or_log(&code_name(digest, engine, is_edited), code);
    }

    /// The live form of the guest with this digest, in the form in which it was stored.
    pub(super) fn recall_live(&self, engine: &wasmtime::Engine, digest: Digest) -> Option<Vec<u8>> {
        self.directory.read(&live_name(digest, engine)).ok()?
    }

    /// Keeps the live form of a guest.
    pub(super) fn keep_live(&self, engine: &wasmtime::Engine, digest: Digest, product: &[u8]) {
        self.write_or_log(&live_name(digest, engine), product);
    }

    /// The compiled functions that were kept of the guest with this digest, or by `innkeeper dev`
    /// of any, in the form in which they were stored.
    pub(super) fn functions(
        &self,
        engine: &wasmtime::Engine,
        of: Option<Digest>,
    ) -> Option<Vec<u8>> {
        self.directory.read(&functions_name(of, engine)).ok()?
    }

    /// Keeps compiled functions.
    pub(super) fn keep_functions(
        &self,
        engine: &wasmtime::Engine,
        of: Option<Digest>,
        functions: &[u8],
    ) {
        self.write_or_log(&functions_name(of, engine), functions);
    }

    fn write_or_log(&self, name: &str, bytes: &[u8]) {
        if let Err(error) = self.directory.write(name, bytes) {
            let path = tracing::field::display(self.path().display());
            tracing::warn!(path, %error, "cannot keep compiled guest");
        }
    }

    /// The component in the file of this name.
    fn component(&self, engine: &wasmtime::Engine, name: &str) -> Option<Component> {
        let file = self.path().join(name);
        let path = tracing::field::display(file.display());
        match self.directory.read(name) {
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

    /// The average time of a decision in the check that was passed under this key, if one was.
    pub(in crate::guest) fn passed(&self, key: Digest) -> Option<Duration> {
        let note = self.directory.read(&passed_name(key)).ok()??;
        String::from_utf8(note).ok()?.trim().parse().ok().map(Duration::from_nanos)
    }

    /// Notes that a check was passed under this key.
    pub(in crate::guest) fn note_passed(&self, key: Digest, average: Duration) {
        let note = format!("{}\n", average.as_nanos());
        if let Err(error) = self.directory.write(&passed_name(key), note.as_bytes()) {
            let path = tracing::field::display(self.path().display());
            tracing::debug!(path, %error, "cannot note a passed validation");
        }
    }
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

/// Grows when guests are rewritten differently, or have to prove more.
const LIVE_FORMS: u32 = 1;

/// The name of a guest's live form.
fn live_name(digest: Digest, engine: &wasmtime::Engine) -> String {
    name_of(&format_args!("live-{LIVE_FORMS}-{digest:#}"), engine)
}

/// The name of the functions of a guest, or of those of `innkeeper dev`.
fn functions_name(of: Option<Digest>, engine: &wasmtime::Engine) -> String {
    match of {
        Some(digest) => name_of(&format_args!("functions-of-{digest:#}"), engine),
        None => name_of(&"functions", engine),
    }
}

/// The name of what this engine can run, and what this version of ours made of it.
fn name_of(what: &impl fmt::Display, engine: &wasmtime::Engine) -> String {
    let mut compatibility = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut compatibility);
    env!("CARGO_PKG_VERSION").hash(&mut compatibility);
    format!("{what}-{:016x}{SUFFIX}", compatibility.finish())
}

#[cfg(test)]
mod tests {
    use super::{CodeCache, Duration};
    use crate::guest::runtime::code_directory::{CodeDirectoryProblem, KEPT, KEPT_BYTES};
    use crate::guest::{
        DEFAULT_GUEST, Engine, Facts, GuestLimits, LoadedGuest, PreparedEngine, RULES_GUEST,
    };
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
    fn compiled_guest_is_used_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let cache = folder.path().join("a/b");
        load(&cache);
        let [kept] = &files(&cache)[..] else { panic!("one file") };
        let written = fs::metadata(kept).expect("metadata").modified().expect("a time");
        let again = load(&cache);
        let facts = Facts::plain(std::net::Ipv4Addr::LOCALHOST.into());
        assert!(again.decide_uncached(b"GET /a HTTP/1.1", std::iter::empty(), facts).is_ok());
        let still = fs::metadata(kept).expect("metadata").modified().expect("a time");
        assert_eq!(written, still);
    }

    #[test]
    fn half_written_file_of_a_killed_process_is_no_hindrance() {
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
    fn damaged_file_is_compiled_again() {
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
    fn file_that_others_could_have_written_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        load(folder.path());
        let [kept] = &files(folder.path())[..] else { panic!("one file") };
        fs::set_permissions(kept, Permissions::from_mode(0o666)).expect("a mode");
        let cache = CodeCache::open(folder.path()).expect("a cache");
        let name = kept.file_name().expect("a name").to_str().expect("text");
        assert!(cache.directory.read(name).is_err());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).expect("a mode");
        let error = CodeCache::open(folder.path()).err().expect("refused");
        assert!(matches!(error.problem, CodeDirectoryProblem::WritableByOthers), "{error}");
    }

    #[test]
    fn oldest_files_are_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        for number in 0..KEPT + 5 {
            let name = format!("{number}.cwasm");
            let file = File::create(folder.path().join(name)).expect("a file");
            let time = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(number as u64);
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
            file.set_modified(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(number))
                .expect("a time");
        }
        CodeCache::open(folder.path()).expect("a cache").directory.thin_out().expect("removed");
        assert!(folder.path().join("60.cwasm").exists());
        assert!(!folder.path().join("59.cwasm").exists());
    }

    #[test]
    fn functions_of_a_configured_guest_are_kept_in_one_file() {
        let folder = tempfile::tempdir().expect("a folder");
        for field in ["x-1", "x-2"] {
            let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
            let engine = engine.keeping_code(CodeCache::open(folder.path()).expect("a cache"));
            let country_field = Some(field.to_owned());
            let data = innkeeper_guest::rules::Table { country_field, ..Default::default() };
            LoadedGuest::load_with(&Arc::new(engine), &RULES_GUEST, Some(&data.to_data()))
                .expect("a guest");
        }
        let is_that = |path: &&PathBuf| {
            let name = path.file_name().unwrap_or_default();
            name.to_string_lossy().starts_with("functions-of-")
        };
        let files = files(folder.path());
        assert_eq!((files.iter().filter(is_that).count(), files.len()), (1, 3));
    }

    #[test]
    fn edited_guest_compiles_only_its_new_functions() {
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
            let facts = Facts::plain(std::net::Ipv4Addr::LOCALHOST.into());
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
