//! A file system of FUSE that answers as a test wants it to: each operation at once, or not
//! before it is let go on.

use std::collections::HashSet;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::skip::{Need, skip};

/// How long a test waits for a request before it fails. Nothing takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Operations, by their numbers in `linux/fuse.h`.
pub const LOOKUP: u32 = 1;
pub const GETATTR: u32 = 3;
pub const OPEN: u32 = 14;
pub const READ: u32 = 15;
pub const FLUSH: u32 = 25;
pub const READDIR: u32 = 28;
const STATFS: u32 = 17;
const RELEASE: u32 = 18;
const INIT: u32 = 26;
const OPENDIR: u32 = 27;
const RELEASEDIR: u32 = 29;
const ACCESS: u32 = 34;
/// Those that want no answer.
const FORGET: u32 = 2;
const INTERRUPT: u32 = 36;
const BATCH_FORGET: u32 = 42;

const HEAD_BYTES: usize = 40;
const ROOT: u64 = 1;
const HOUR: u64 = 3600;
const DIRECTORY_MODE: u32 = 0o40755;
const FILE_MODE: u32 = 0o100_644;

/// Its files: names, and lengths of content that is all `x`.
pub const FILES: [(&str, usize); 5] = [
    ("small.txt", 1000),
    ("large.bin", 3 << 20),
    ("other.txt", 10),
    ("unread.bin", 40_000),
    ("small.txt.gz", 20),
];

/// A file system that is mounted until this is dropped.
pub struct Fuse {
    folder: PathBuf,
    device: u64,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// What is held back, and what was asked for.
    held: Mutex<(HashSet<u32>, Vec<u32>)>,
    changed: Condvar,
    /// The file whose operations alone are held back.
    held_file: Mutex<Option<&'static str>>,
    /// The file that cannot be opened, and the error.
    failing: Mutex<Option<(&'static str, i32)>>,
}

impl Fuse {
    /// Mounts it; `None`, and a skip, where that is not allowed.
    pub fn mount(folder: &Path) -> Option<Fuse> {
        let device = match OpenOptions::new().read(true).write(true).open("/dev/fuse") {
            Ok(device) => device,
            Err(error) => {
                skip(Need::Fuse, format_args!("cannot open /dev/fuse: {error}"));
                return None;
            }
        };
        let options =
            format!("fd={},rootmode=40000,user_id=0,group_id=0,allow_other\0", device.as_raw_fd());
        let options = std::ffi::CStr::from_bytes_with_nul(options.as_bytes()).unwrap();
        match mount("test", folder, "fuse", MountFlags::NOSUID | MountFlags::NODEV, options) {
            Ok(()) => {}
            Err(error @ (Errno::PERM | Errno::NODEV)) => {
                skip(Need::Fuse, format_args!("cannot mount: {error}"));
                return None;
            }
            Err(error) => panic!("a FUSE is not mounted: {error}"),
        }
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        thread::spawn(move || serve(device, &serving));
        // The kernel asks for it once, and then has it at hand.
        let number = fs::symlink_metadata(folder).unwrap().dev();
        Some(Fuse { folder: folder.to_owned(), device: number, state })
    }

    /// Its device, as it is shown.
    pub fn shown(&self) -> String {
        format!("{}:{}", rustix::fs::major(self.device), rustix::fs::minor(self.device))
    }

    /// Holds these operations back from now on.
    pub fn hold(&self, operations: &[u32]) {
        let mut held = self.state.held.lock().unwrap();
        held.1.clear();
        held.0.extend(operations);
    }

    /// Holds these operations on this file back from now on.
    pub fn hold_file(&self, operations: &[u32], name: &'static str) {
        *self.state.held_file.lock().unwrap() = Some(name);
        self.hold(operations);
    }

    /// Answers all that is held back, and what follows.
    pub fn go_on(&self) {
        self.state.held.lock().unwrap().0.clear();
        self.state.changed.notify_all();
    }

    /// Fails to open this file with this error from now on.
    pub fn fail_to_open(&self, name: &'static str, error: i32) {
        *self.state.failing.lock().unwrap() = Some((name, error));
    }

    /// Waits until this is asked for so many times since it is held back.
    #[track_caller]
    pub fn wait_for(&self, operation: u32, times: usize) {
        let count = |asked: &[u32]| asked.iter().filter(|asked| **asked == operation).count();
        let held = self.state.held.lock().unwrap();
        let waiting = |held: &mut (HashSet<u32>, Vec<u32>)| count(&held.1) < times;
        let (held, waited) =
            self.state.changed.wait_timeout_while(held, PATIENCE, waiting).unwrap();
        assert!(!waited.timed_out(), "{operation} is not asked for {times} times: {:?}", held.1);
    }

    /// Ends it as if its server were killed: who waits for an answer hears of it.
    pub fn abort(&self) {
        let number = rustix::fs::minor(self.device);
        // It may have been ended before.
        let _ = fs::write(format!("/sys/fs/fuse/connections/{number}/abort"), "1");
        self.go_on();
    }
}

impl Drop for Fuse {
    fn drop(&mut self) {
        self.abort();
        let _ = unmount(&self.folder, UnmountFlags::DETACH);
    }
}

/// Answers until it is unmounted. What is held back is answered by a thread of its own.
fn serve(device: File, state: &Arc<State>) {
    let device = Arc::new(device);
    let mut buffer = vec![0; 1 << 20];
    while let Ok(length) = (&*device).read(&mut buffer) {
        let request = buffer[..length].to_vec();
        let operation = u32_at(&request, 4);
        if matches!(operation, FORGET | INTERRUPT | BATCH_FORGET) {
            continue;
        }
        let is_held = {
            let mut held = state.held.lock().unwrap();
            held.1.push(operation);
            state.changed.notify_all();
            let only = *state.held_file.lock().unwrap();
            let is_meant = only
                .is_none_or(|name| file(u64_at(&request, 16)).is_some_and(|(of, _)| of == name));
            held.0.contains(&operation) && is_meant
        };
        if !is_held {
            answer(&device, &request, state);
            continue;
        }
        let (device, state) = (Arc::clone(&device), Arc::clone(state));
        thread::spawn(move || {
            let held = state.held.lock().unwrap();
            let waiting = |held: &mut (HashSet<u32>, Vec<u32>)| held.0.contains(&operation);
            drop(state.changed.wait_while(held, waiting).unwrap());
            answer(&device, &request, &state);
        });
    }
}

fn answer(device: &File, request: &[u8], state: &State) {
    let (operation, node) = (u32_at(request, 4), u64_at(request, 16));
    let body = &request[HEAD_BYTES..];
    let mut out = Vec::new();
    let mut error = 0_i32;
    match operation {
        INIT => {
            put_32(&mut out, &[7, 31, 128 << 10, 0, 48 << 16 | 64, 128 << 10, 1, 32]);
            out.resize(64, 0);
        }
        LOOKUP => {
            let name = body.split(|&byte| byte == 0).next().unwrap();
            match FILES.iter().position(|(file, _)| file.as_bytes() == name) {
                Some(at) => {
                    let node = at as u64 + 2;
                    // Its name is good for an hour, its attributes for no time.
                    put_64(&mut out, &[node, 0, HOUR, 0, 0]);
                    attributes(&mut out, node, file(node));
                }
                None => error = -libc::ENOENT,
            }
        }
        GETATTR => {
            put_64(&mut out, &[0, 0]);
            attributes(&mut out, node, file(node));
        }
        OPEN | OPENDIR => match (*state.failing.lock().unwrap(), file(node)) {
            (Some((failing, errno)), Some((name, _))) if name == failing => error = -errno,
            _ => put_64(&mut out, &[0, 0]),
        },
        READ => {
            let length = file(node).map_or(0, |(_, length)| length);
            let offset = usize::try_from(u64_at(body, 8)).unwrap();
            let size = usize::try_from(u32_at(body, 16)).unwrap();
            out.resize(size.min(length.saturating_sub(offset)), b'x');
        }
        READDIR => {
            let offset = usize::try_from(u64_at(body, 8)).unwrap();
            for (at, (name, _)) in FILES.iter().enumerate().skip(offset) {
                put_64(&mut out, &[at as u64 + 2, at as u64 + 1]);
                put_32(&mut out, &[u32::try_from(name.len()).unwrap(), 8]);
                out.extend_from_slice(name.as_bytes());
                out.resize(out.len().next_multiple_of(8), 0);
            }
        }
        STATFS => out.resize(80, 0),
        FLUSH | RELEASE | RELEASEDIR | ACCESS => {}
        _ => error = -libc::ENOSYS,
    }
    let mut answer = Vec::new();
    put_32(&mut answer, &[u32::try_from(out.len() + 16).unwrap(), error.cast_unsigned()]);
    answer.extend_from_slice(&request[8..16]);
    answer.extend(out);
    // Who asked may be gone.
    let _ = { device }.write_all(&answer);
}

/// The file with this number.
fn file(node: u64) -> Option<(&'static str, usize)> {
    FILES.get(usize::try_from(node).ok()?.checked_sub(2)?).copied()
}

/// `struct fuse_attr`.
fn attributes(out: &mut Vec<u8>, node: u64, file: Option<(&str, usize)>) {
    const THEN: u64 = 784_111_777;
    let length = file.map_or(0, |(_, length)| length as u64);
    let mode = if node == ROOT { DIRECTORY_MODE } else { FILE_MODE };
    put_64(out, &[node, length, 0, THEN, THEN, THEN]);
    put_32(out, &[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]);
}

fn put_64(out: &mut Vec<u8>, numbers: &[u64]) {
    out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
}

fn put_32(out: &mut Vec<u8>, numbers: &[u32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap())
}
