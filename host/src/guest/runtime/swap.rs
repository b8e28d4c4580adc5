//! Whether the memory of guests may be swapped out.
//!
//! wasmtime 48 resets an instance's memory by `PAGEMAP_SCAN`, which passes over pages that were
//! swapped out: the next instance in that place could read what an earlier request left there
//! (mended in wasmtime 50, pull request 14357). Where there is swap, memory is reset without it,
//! which takes a fresh decision some 7 µs more.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// Bytes of `/proc/swaps` that are read: its heading, and enough of a line to see that there is one.
const SWAPS_BYTES: usize = 512;

/// What the kernel says about swap. It is opened before the sandbox is entered, which has no `/proc`.
#[derive(Debug)]
pub struct Swap {
    /// None: this process is never swapped out, or there is no way to look.
    swaps: Option<File>,
    was_on: AtomicBool,
}

impl Swap {
    /// Looks whether this process may be swapped out.
    pub fn open() -> Swap {
        if is_kept_in_memory(Path::new("/proc/self/cgroup"), Path::new("/sys/fs/cgroup")) {
            return Swap { swaps: None, was_on: AtomicBool::new(false) };
        }
        let swaps = File::open("/proc/swaps").ok();
        // What cannot be seen may be.
        let is_on = swaps.as_ref().is_none_or(is_on);
        Swap { swaps, was_on: AtomicBool::new(is_on) }
    }

    /// Whether it might be swapped out when this was opened.
    pub fn was_on(&self) -> bool {
        self.was_on.load(Ordering::Relaxed)
    }

    /// Logs once if swap was turned on since: what was chosen at the start cannot be undone.
    pub fn look(&self) {
        if !self.was_on() && self.swaps.as_ref().is_some_and(is_on) {
            self.was_on.store(true, Ordering::Relaxed);
            tracing::error!(
                "swap was turned on; restart the server, or a guest may read what an earlier request left"
            );
        }
    }
}

/// Whether there is a line below the heading (proc_swaps(5)). What cannot be read may be on.
fn is_on(swaps: &File) -> bool {
    let mut bytes = [0; SWAPS_BYTES];
    let Ok(length) = swaps.read_at(&mut bytes, 0) else { return true };
    bytes[..length].split(|byte| *byte == b'\n').skip(1).any(|line| !line.is_empty())
}

/// Whether a control group of this process may have no swap (cgroup v2, `memory.swap.max`).
fn is_kept_in_memory(own: &Path, hierarchy: &Path) -> bool {
    let own = fs::read_to_string(own).unwrap_or_default();
    let Some(own) = own.lines().find_map(|line| line.strip_prefix("0::/")) else { return false };
    let groups = Path::new(own).ancestors().map(|group| hierarchy.join(group));
    groups
        .map(|group| fs::read(group.join("memory.swap.max")))
        .any(|swap| swap.is_ok_and(|most| most.trim_ascii() == b"0"))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::{is_kept_in_memory, is_on};

    #[test]
    fn line_below_the_heading_is_swap() {
        let heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";
        let line = "/swapfile                               file\t\t1048572\t\t0\t\t-2\n";
        let folder = tempfile::tempdir().expect("a folder");
        for (text, expected) in [(heading.to_owned(), false), (format!("{heading}{line}"), true)] {
            let path = folder.path().join("swaps");
            fs::write(&path, text).expect("written");
            assert_eq!(is_on(&File::open(path).expect("open")), expected);
        }
    }

    #[test]
    fn group_without_swap_or_above_keeps_a_process_in_memory() {
        let folder = tempfile::tempdir().expect("a folder");
        let (own, hierarchy) = (folder.path().join("own"), folder.path().join("groups"));
        fs::create_dir_all(hierarchy.join("a/b")).expect("made");
        let check = |cgroup: &str, group: &str, most: &str| {
            fs::write(&own, cgroup).expect("written");
            let file = hierarchy.join(group).join("memory.swap.max");
            fs::write(&file, most).expect("written");
            let is_kept = is_kept_in_memory(&own, &hierarchy);
            fs::remove_file(file).expect("removed");
            is_kept
        };
        assert!(check("0::/a/b\n", "a/b", "0\n"));
        assert!(check("12:cpu:/x\n0::/a/b\n", "a", "0\n"));
        assert!(!check("0::/a/b\n", "a/b", "max\n"));
        assert!(!check("0::/a\n", "a/b", "0\n"));
        // Seen from its own namespace, a container's is the root of the hierarchy.
        assert!(check("0::/\n", "", "0\n"));
        assert!(!check("1:name=systemd:/\n", "", "0\n"));
    }
}
