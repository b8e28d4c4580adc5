//! One server of those that share a folder orders at a time.
//!
//! The lock is flock(2), which the kernel gives back when a process dies. On network file systems
//! that keep it for one machine alone, or for a machine that is gone, the file itself counts: it
//! says who has the lock, and is written again all the while. One that is old belongs to nobody.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// How often the holder writes the file again.
const BEAT: Duration = Duration::from_secs(30);

/// The age at which the lock is taken from its holder, which has missed some beats.
const STALE: Duration = Duration::from_secs(180);

/// Bytes of the file that are read.
const WHO_BYTES: u64 = 200;

/// Who may hold it: this process, as others can see it.
#[derive(Clone, Debug)]
pub(super) struct Who(String);

impl Who {
    /// This process. To be asked before the sandbox is entered.
    pub(super) fn this_process() -> Who {
        let read = |path| fs::read_to_string(path).unwrap_or_default().trim().to_owned();
        // Containers of one machine have one kernel, whose locks they see.
        let boot = read("/proc/sys/kernel/random/boot_id");
        let host = read("/proc/sys/kernel/hostname");
        Who(format!("{boot} {host} {}", std::process::id()))
    }

    fn boot(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }
}

/// The lock, until it is dropped.
pub(super) struct Lock {
    file: File,
    is_held: Arc<AtomicBool>,
}

/// Whether the lock was taken.
pub(super) enum Taken {
    /// It was.
    Lock(Lock),
    /// This one has it.
    By(String),
}

/// Takes the lock of a folder, if no other server has it.
pub(super) fn take(folder: &Path, who: &Who) -> io::Result<Taken> {
    let path = folder.join("lock");
    // Once more where it was taken from a holder that is gone.
    for _ in 0..3 {
        let mut options = OpenOptions::new();
        let mut file = options.read(true).write(true).create(true).mode(0o600).open(&path)?;
        let metadata = file.metadata()?;
        let age = metadata.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok());
        // A file of the future is one of a clock that was set back.
        let is_stale = age.is_none_or(|age| age > STALE);
        let mut holder = String::new();
        (&mut file).take(WHO_BYTES).read_to_string(&mut holder)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if is_stale && !holder.is_empty() => {
                fs::remove_file(&path)?;
                continue;
            }
            Err(Errno::WOULDBLOCK) => return Ok(Taken::By(shown(&holder))),
            // Of file systems without such locks the file alone counts.
            Err(Errno::NOLCK | Errno::OPNOTSUPP | Errno::NOSYS) => {}
            locked => locked?,
        }
        let is_of_this_machine = holder.split(' ').next() == Some(who.boot());
        if !holder.is_empty() && !is_of_this_machine && !is_stale {
            return Ok(Taken::By(shown(&holder)));
        }
        // It may have been replaced meanwhile.
        let now = fs::metadata(&path);
        if !now.is_ok_and(|now| (now.dev(), now.ino()) == (metadata.dev(), metadata.ino())) {
            continue;
        }
        let lock = Lock { file, is_held: Arc::new(AtomicBool::new(true)) };
        lock.write(&who.0)?;
        return Ok(Taken::Lock(lock));
    }
    Ok(Taken::By("another server".to_owned()))
}

fn shown(holder: &str) -> String {
    match holder.split_once(' ') {
        Some((_, host_and_process)) => host_and_process.to_owned(),
        None => "another server".to_owned(),
    }
}

impl Lock {
    fn write(&self, text: &str) -> io::Result<()> {
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        file.write_all(text.as_bytes())
    }

    /// Writes the file again and again while the lock is held.
    pub(super) async fn beat(&self, who: &Who) {
        while self.is_held.load(Ordering::Acquire) {
            tokio::time::sleep(BEAT).await;
            // One that cannot be written grows old, and another server takes it.
            let _ = self.write(&who.0);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.is_held.store(false, Ordering::Release);
        // An empty one belongs to nobody, whatever its age.
        let _ = self.file.set_len(0);
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::time::{Duration, SystemTime};

    use std::path::{Path, PathBuf};

    use super::{STALE, Taken, Who, take};

    fn file(folder: &Path) -> PathBuf {
        folder.join("lock")
    }

    fn who(boot: &str) -> Who {
        Who(format!("{boot} host 1"))
    }

    #[test]
    fn one_has_the_lock_until_it_is_dropped() {
        let folder = tempfile::tempdir().expect("a folder");
        let Ok(Taken::Lock(lock)) = take(folder.path(), &who("a")) else { panic!("not taken") };
        for boot in ["a", "b"] {
            let Ok(Taken::By(holder)) = take(folder.path(), &who(boot)) else { panic!("taken") };
            assert_eq!(holder, "host 1");
        }
        drop(lock);
        assert!(matches!(take(folder.path(), &who("b")), Ok(Taken::Lock(_))));
    }

    #[test]
    fn lock_of_a_holder_that_is_gone_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        // It died on this machine: the kernel has given its lock back.
        fs::write(file(folder.path()), "a host 7").expect("a file");
        assert!(matches!(take(folder.path(), &who("a")), Ok(Taken::Lock(_))));
        // It died on another: its age counts.
        fs::write(file(folder.path()), "b host 7").expect("a file");
        assert!(matches!(take(folder.path(), &who("a")), Ok(Taken::By(_))));
        let old = SystemTime::now() - STALE - Duration::from_secs(5);
        let age = || {
            let opened = File::options().write(true).open(file(folder.path())).expect("a file");
            opened.set_modified(old).expect("an age");
        };
        age();
        let Ok(Taken::Lock(lock)) = take(folder.path(), &who("a")) else { panic!("not taken") };
        // It stands still, and holds the kernel's lock.
        age();
        assert!(matches!(take(folder.path(), &who("b")), Ok(Taken::Lock(_))));
        drop(lock);
    }
}
