//! One server of those that share a folder orders at a time.
//!
//! The lock is flock(2), which the kernel gives back when a process dies. On network file systems
//! that keep it for one machine alone, or for a machine that is gone, the file itself counts: it
//! says who has the lock, and is written again all the while. One that is old belongs to nobody.

use std::convert::Infallible;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::store::{Folder, make};
use crate::text::one_line;

/// How often the holder writes the file again.
const RENEWAL: Duration = Duration::from_secs(30);

/// The age at which the lock is taken from its holder, which has missed some renewals.
const STALE: Duration = Duration::from_secs(180);

/// Bytes of the file that are read.
const HOLDER_BYTES: u64 = 200;

/// Who may hold it: this process, as others can see it.
#[derive(Clone, Debug)]
pub(super) struct Holder(String);

impl Holder {
    /// This process. To be asked before the sandbox is entered.
    pub(super) fn this_process() -> Holder {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        // Containers of one machine have one kernel, whose locks they see.
        let boot = read("/proc/sys/kernel/random/boot_id");
        let host = read("/proc/sys/kernel/hostname");
        Holder(format!("{boot} {host} {}", std::process::id()))
    }

    fn boot(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }
}

/// The lock, until it is dropped.
pub(super) struct Lock {
    file: File,
}

/// Whether the lock was taken.
pub(super) enum Taken {
    /// It was.
    Lock(Lock),
    /// This one has it.
    Held(String),
}

/// Takes the lock of a folder, if no other server has it.
pub(super) fn take(folder: &Folder, holder: &Holder) -> io::Result<Taken> {
    make(&folder.private())?;
    let path = folder.private().join("lock");
    // Once more where it was taken from a holder that is gone.
    for _ in 0..3 {
        let mut file = open(&path)?;
        let metadata = file.metadata()?;
        let mut bytes = Vec::new();
        (&mut file).take(HOLDER_BYTES).read_to_end(&mut bytes)?;
        let held_by = String::from_utf8_lossy(&bytes).into_owned();
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if !held_by.is_empty() && is_stale(folder, &metadata) => {
                remove_stale(&path, &metadata)?;
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Ok(Taken::Held(shown(&held_by))),
            // Of file systems without such locks the file alone counts.
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            locked => locked?,
        }
        let is_of_this_machine = held_by.split(' ').next() == Some(holder.boot());
        if !held_by.is_empty() && !is_of_this_machine && !is_stale(folder, &metadata) {
            return Ok(Taken::Held(shown(&held_by)));
        }
        // It may have been replaced meanwhile.
        if !is_at(&path, &metadata) {
            continue;
        }
        let lock = Lock { file };
        lock.write(&holder.0)?;
        return Ok(Taken::Lock(lock));
    }
    Ok(Taken::Held("another server".to_owned()))
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Whether its holder has not written it for long: by the clock of the file system, as those of
/// machines differ.
fn is_stale(folder: &Folder, metadata: &Metadata) -> bool {
    let Ok(written) = metadata.modified() else { return true };
    let now = folder.now();
    // A file of the future is one of a clock that was set back.
    now.duration_since(written).unwrap_or_else(|ahead| ahead.duration()) > STALE
}

/// Removes the file of a holder that stands still. Of several that find it so one does, and those
/// after it find another file.
fn remove_stale(path: &Path, stale: &Metadata) -> io::Result<()> {
    let taking = open(&path.with_file_name("lock-taking"))?;
    match flock(&taking, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) if is_at(path, stale) => fs::remove_file(path),
        // Another one is at it.
        Ok(()) | Err(Errno::WOULDBLOCK) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether this is the file at the path still.
fn is_at(path: &Path, metadata: &Metadata) -> bool {
    let now = fs::metadata(path);
    now.is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino()))
}

fn shown(holder: &str) -> String {
    match holder.split_once(' ') {
        Some((_, host_and_process)) => one_line(host_and_process),
        None => "another server".to_owned(),
    }
}

impl Lock {
    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        // It is never empty meanwhile: such a one belongs to nobody.
        file.rewind()?;
        file.write_all(text.as_bytes())?;
        file.set_len(text.len() as u64)
    }

    /// Writes the file again and again, until this is dropped.
    pub(super) async fn renew(&self, holder: &Holder) -> Infallible {
        loop {
            tokio::time::sleep(RENEWAL).await;
            // One that cannot be written grows old, and another server takes it.
            let _ = self.write(&holder.0);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty one belongs to nobody, whatever its age.
        let _ = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;
    use std::time::{Duration, SystemTime};

    use super::{Holder, STALE, Taken, take};
    use crate::acme::store::Folder;

    struct Place {
        _folder: tempfile::TempDir,
        folder: Folder,
    }

    impl Place {
        fn new() -> Place {
            let place = tempfile::tempdir().expect("a folder");
            let folder = Folder::open(&place.path().join("state")).expect("a folder");
            Place { _folder: place, folder }
        }

        fn take(&self, boot: &str) -> Taken {
            take(&self.folder, &holder(boot)).expect("no fault")
        }

        fn write(&self, bytes: &[u8]) {
            fs::write(self.folder.private().join("lock"), bytes).expect("a file");
        }

        fn age(&self, at: SystemTime) {
            let file = File::options().write(true).open(self.folder.private().join("lock"));
            file.and_then(|file| file.set_modified(at)).expect("an age");
        }
    }

    fn holder(boot: &str) -> Holder {
        Holder(format!("{boot} host 1"))
    }

    fn old() -> SystemTime {
        SystemTime::now() - STALE - Duration::from_secs(5)
    }

    #[test]
    fn one_has_the_lock_until_it_is_dropped() {
        let place = Place::new();
        let Taken::Lock(lock) = place.take("a") else { panic!("not taken") };
        for boot in ["a", "b"] {
            let Taken::Held(holder) = place.take(boot) else { panic!("taken") };
            assert_eq!(holder, "host 1");
        }
        drop(lock);
        assert!(matches!(place.take("b"), Taken::Lock(_)));
    }

    #[test]
    fn lock_of_a_holder_that_is_gone_is_taken() {
        let place = Place::new();
        // It died on this machine: the kernel has given its lock back.
        place.write(b"a host 7");
        assert!(matches!(place.take("a"), Taken::Lock(_)));
        // It died on another: its age counts.
        place.write(b"b host 7");
        assert!(matches!(place.take("a"), Taken::Held(_)));
        place.age(old());
        let Taken::Lock(lock) = place.take("a") else { panic!("not taken") };
        // It stands still, and holds the kernel's lock.
        place.age(old());
        assert!(matches!(place.take("b"), Taken::Lock(_)));
        drop(lock);
    }

    #[test]
    fn lock_of_a_clock_that_is_a_little_ahead_is_held() {
        let place = Place::new();
        place.write(b"b host 7");
        place.age(SystemTime::now() + Duration::from_secs(60));
        assert!(matches!(place.take("a"), Taken::Held(_)));
        place.age(SystemTime::now() + STALE + Duration::from_secs(60));
        assert!(matches!(place.take("a"), Taken::Lock(_)));
    }

    #[test]
    fn lock_of_any_content_is_taken_when_it_is_old() {
        for bytes in [&b"\xff\xfe \x1b[2J"[..], &[b'x'; 10_000], b" ", b"\0"] {
            let place = Place::new();
            place.write(bytes);
            let Taken::Held(holder) = place.take("a") else { panic!("taken: {bytes:?}") };
            assert!(holder.len() < 1_000 && !holder.contains('\x1b'), "{holder:?}");
            place.age(old());
            assert!(matches!(place.take("a"), Taken::Lock(_)));
        }
    }

    #[test]
    fn one_of_many_that_find_it_stale_takes_it() {
        for _ in 0..20 {
            let place = Place::new();
            let Taken::Lock(_stands_still) = place.take("a") else { panic!("not taken") };
            place.age(old());
            let (taken, place) = (AtomicUsize::new(0), &place);
            let locks: Vec<_> = thread::scope(|scope| {
                let take = || match place.take("b") {
                    Taken::Lock(lock) => {
                        taken.fetch_add(1, Ordering::Relaxed);
                        Some(lock)
                    }
                    Taken::Held(_) => None,
                };
                let threads: Vec<_> = (0..8).map(|_| scope.spawn(take)).collect();
                threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
            });
            assert!(taken.load(Ordering::Relaxed) <= 1, "two have the lock");
            drop(locks);
        }
    }
}
