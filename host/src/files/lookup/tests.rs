//! Roots that share caches: what each one finds, and what all of them hold together.

use std::fs::{self, FileTimes};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use crate::files::CacheSizes;

use super::{Accepted, Arrangement, Caches, Content, Files, Lookup, Options, Recency};
use crate::files::arrangement::Form;
use crate::files::encodings::Coding;
use crate::files::{OPEN_FILES, SMALL_BYTES};
use crate::in_flight::InFlight;

/// Long enough for a test to use what is cached.
const VALID: Duration = Duration::from_secs(600);

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(work)
}

fn caches(bytes_in_flight: u64) -> Arc<Caches> {
    Caches::new(
        NonZeroUsize::MIN,
        CacheSizes::default(),
        Box::leak(Box::new(InFlight::new(bytes_in_flight))),
    )
}

/// Writes a file with an old date, which its validators wait for no longer than for its tag.
fn write(path: &Path, content: &[u8]) {
    fs::write(path, content).expect("written");
    let file = fs::File::options().write(true).open(path).expect("opened");
    let day_ago = SystemTime::now() - Duration::from_secs(86_400);
    file.set_times(FileTimes::new().set_modified(day_ago)).expect("set");
}

/// A root with these files.
fn root(caches: &Arc<Caches>, files: &[(&str, &[u8])]) -> (tempfile::TempDir, Files) {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        write(&folder.path().join(name), content);
    }
    let options = Options { list: true, cache_valid: VALID, ..Options::default() };
    let files = Files::open(folder.path(), options, caches).expect("a root");
    (folder, files)
}

fn find(files: &Files, path: &str, accepted: &Accepted) -> Lookup {
    block_on(files.find(0, path, accepted, Recency::Lately))
}

/// Looks up until the worker is busy and the outcome is cached.
fn find_cached(files: &Files, path: &str, accepted: &Accepted) -> Lookup {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let (one, again) = (find(files, path, accepted), find(files, path, accepted));
        match (one, again) {
            (Lookup::File(one), Lookup::File(again)) if Arc::ptr_eq(&one, &again) => {
                return Lookup::File(one);
            }
            _ => assert!(Instant::now() < deadline, "{path} is never cached"),
        }
    }
}

/// What is held in memory of a file.
fn memory(found: &Lookup) -> Option<Vec<u8>> {
    match found {
        Lookup::File(file) => match &file.content {
            Content::Memory(content) => Some(content.to_vec()),
            Content::File(_) => None,
        },
        other => panic!("no file: {other:?}"),
    }
}

#[test]
fn root_finds_nothing_that_another_root_has_cached() {
    let caches = caches(u64::MAX);
    let (_a, a) = root(&caches, &[("name.txt", b"of a"), ("a.txt", b"a alone")]);
    let (_b, b) = root(&caches, &[("name.txt", b"of b")]);
    let plain = Accepted::default();
    for _ in 0..2 {
        assert_eq!(memory(&find_cached(&a, "name.txt", &plain)).expect("small"), b"of a");
        assert_eq!(memory(&find_cached(&b, "name.txt", &plain)).expect("small"), b"of b");
        find_cached(&a, "a.txt", &plain);
        assert!(matches!(find(&b, "a.txt", &plain), Lookup::Missing));
    }
    let list = |files: &Files| {
        let arrangement = Arrangement::of_query(Form::Json, "");
        block_on(files.list("", arrangement, &[])).ok().flatten().expect("a list")
    };
    let (of_a, of_b) = (list(&a), list(&b));
    assert!(String::from_utf8_lossy(of_a.form(&[]).content).contains("a.txt"));
    assert!(!String::from_utf8_lossy(of_b.form(&[]).content).contains("a.txt"));
}

/// It was listed among the names that have no link.
#[test]
fn hidden_name_that_fits_into_no_url_is_not_listed() {
    let (_folder, files) = root(&caches(u64::MAX), &[("okapi\\a", b""), ("zebra\\a", b"")]);
    files.hidden.set(["zebra\\a"]);
    let arrangement = Arrangement::of_query(Form::Html, "");
    let made = block_on(files.list("", arrangement, &[])).ok().flatten().expect("a list");
    let page = String::from_utf8_lossy(made.form(&[]).content);
    assert!(page.contains("okapi") && !page.contains("zebra"), "{page}");
}

#[test]
fn roots_compress_each_its_own_file() {
    let caches = caches(u64::MAX);
    let (a_text, b_text) = (b"aa\n".repeat(2_000), b"bb\n".repeat(2_000));
    let (_a, a) = root(&caches, &[("text.txt", &a_text)]);
    let (_b, b) = root(&caches, &[("text.txt", &b_text)]);
    let gzip = Accepted { codings: [Coding::Gzip].into(), ready_made: false };
    let [of_a, of_b] = [&a, &b].map(|files| memory(&find_cached(files, "text.txt", &gzip)));
    let decoded = |content: Option<Vec<u8>>| {
        let content = content.expect("compressed");
        let mut decoded = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(&content[..]);
        std::io::Read::read_to_end(&mut decoder, &mut decoded).expect("decoded");
        decoded
    };
    assert!(decoded(of_a) == a_text && decoded(of_b) == b_text);
}

#[test]
fn open_files_of_all_roots_together_are_bounded() {
    let caches = caches(u64::MAX);
    let large = vec![0; usize::try_from(SMALL_BYTES).expect("small") + 1];
    let names: Vec<_> = (0..OPEN_FILES).map(|number| format!("{number}.bin")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), large.as_slice())).collect();
    let (_a, a) = root(&caches, &files);
    let (_b, b) = root(&caches, &files);
    for name in &names {
        find_cached(&a, name, &Accepted::default());
        find_cached(&b, name, &Accepted::default());
    }
    let open = caches.lookups(0).open_files();
    assert!(0 < open && open <= OPEN_FILES, "{open} of {}", 2 * OPEN_FILES);
    // A file is closed once its entry is stale, whichever root it is of.
    caches.close_stale(Instant::now());
    assert_eq!(caches.lookups(0).open_files(), open);
    caches.close_stale(Instant::now() + VALID);
    assert_eq!(caches.lookups(0).open_files(), 0);
}

#[test]
fn memory_in_flight_of_one_root_counts_for_the_others() {
    let caches = caches(10_000);
    let (_a, a) = root(&caches, &[("a.bin", &[b'a'; 20_000])]);
    let (_b, b) = root(&caches, &[("b.bin", b"small")]);
    let plain = Accepted::default();
    let Lookup::File(of_a) = find_cached(&a, "a.bin", &plain) else { panic!("no file") };
    let Content::Memory(content) = &of_a.content else { panic!("not in memory") };
    let sending = content.send(caches.in_flight);
    assert!(memory(&find_cached(&b, "b.bin", &plain)).is_none(), "it is sent from the disk");
    drop(sending);
    let (_c, c) = root(&caches, &[("c.bin", b"small")]);
    assert!(memory(&find_cached(&c, "c.bin", &plain)).is_some());
}
