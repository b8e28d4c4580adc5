//! Paths beneath the root: the kernel's way, the portable way and the reference open
//! the same file, or nothing, and never anything outside.
//!
//! The input is lines: four targets of symbolic links, then paths. A target that begins with `@`
//! begins with the root's path.

use std::collections::{BTreeMap, HashSet};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use innkeeper::files::beneath::{Found, Patience, Root};
use innkeeper::files::{Links, Resolver};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::io::Errno;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use tempfile::TempDir;

use super::reference::walk;

/// The links whose targets the input tells.
const LINKS: [&str; 4] = ["l0", "l1", "dir/l2", "dir/sub/l3"];

/// Paths of one input.
const PATHS: usize = 8;

/// A root with all that a path may meet.
struct Tree {
    _folder: TempDir,
    root: PathBuf,
    /// Device and inode of everything beneath the root.
    inside: HashSet<(u64, u64)>,
    /// Each resolver, with each way of treating links.
    resolvers: Vec<(Root, Resolver, Links)>,
}

thread_local! {
    static TREE: Tree = Tree::grow();
}

/// Runs the target.
pub fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    TREE.with(|tree| {
        let mut lines = text.split('\n');
        for (link, target) in LINKS.iter().zip(&mut lines) {
            tree.relink(link, target);
        }
        for path in lines.take(PATHS) {
            tree.check(path);
        }
    });
}

impl Tree {
    fn grow() -> Tree {
        let folder = tempfile::tempdir().expect("a folder");
        let root = folder.path().join("root");
        for directory in ["root/dir/sub", "root/empty", "root/closed", "root/blind", "outside/dir"]
        {
            fs::create_dir_all(folder.path().join(directory)).expect("a directory");
        }
        let long = "n".repeat(255);
        for file in [
            "outside/secret",
            "outside/dir/secret",
            "secret",
            "root/a",
            "root/dir/b",
            "root/dir/sub/c",
            "root/closed/d",
            "root/blind/e",
            "root/unreadable",
            "root/a b",
            "root/caf\u{e9}",
            &format!("root/dir/{long}"),
        ] {
            fs::write(folder.path().join(file), file).expect("a file");
        }
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a FIFO");
        std::os::unix::net::UnixListener::bind(root.join("socket")).expect("a socket");
        let inside = |path: &str| format!("{}{path}", root.display());
        for (target, link) in [
            ("a", "inside"),
            ("dir", "folder"),
            ("../a", "dir/up"),
            ("sub/../../dir/./b", "dir/round"),
            ("..", "parent"),
            ("../root/a", "back"),
            ("../secret", "secret"),
            ("../outside", "outside"),
            ("../../outside/secret", "dir/secret"),
            ("/etc/passwd", "absolute"),
            (inside("/dir/b").as_str(), "dir/back"),
            (inside("/dir/../chain3").as_str(), "far"),
            (inside("/self").as_str(), "self"),
            (inside("").as_str(), "home"),
            (inside("-beside").as_str(), "beside"),
            ("/", "slash"),
            ("/proc/self/root", "magic"),
            ("loop", "loop"),
            ("pong", "ping"),
            ("ping", "pong"),
            ("nowhere", "dangling"),
            ("a/", "no-directory"),
            ("fifo", "pipe"),
            ("unreadable", "cannot"),
        ] {
            symlink(target, root.join(link)).expect("a link");
        }
        // A chain of as many links as the kernel follows, and of one more.
        for link in 0..=40 {
            let target = if link == 0 { "a".to_owned() } else { format!("chain{}", link - 1) };
            symlink(target, root.join(format!("chain{link}"))).expect("a link");
        }
        let mut inside = HashSet::new();
        note(&root, &mut inside);
        for (path, mode) in [("unreadable", 0), ("closed", 0), ("blind", 0o311)] {
            let mode = Permissions::from_mode(mode);
            fs::set_permissions(root.join(path), mode).expect("a mode");
        }
        forget_openat2(&root);
        let mut resolvers = Vec::new();
        for resolver in [Resolver::Kernel, Resolver::Portable] {
            for links in [Links::Followed, Links::Refused] {
                let opened = Root::open(&root, resolver, links).expect("the root");
                resolvers.push((opened, resolver, links));
            }
        }
        Tree { _folder: folder, root, inside, resolvers }
    }

    /// Gives a link another target, if the file system takes it.
    fn relink(&self, link: &str, target: &str) {
        let link = self.root.join(link);
        // An input cannot know where the root is.
        let target = match target.strip_prefix('@') {
            Some(rest) => format!("{}{rest}", self.root.display()),
            None => target.to_owned(),
        };
        // Not there for the first time, or after a target that was refused.
        let _ = fs::remove_file(&link);
        let _ = symlink(target, &link);
    }

    fn check(&self, path: &str) {
        for (root, resolver, links) in &self.resolvers {
            let found = root.look(path, Patience::Wait);
            let identity = found.as_ref().map(identity).map_err(|errno| *errno);
            if let Ok(identity) = identity {
                assert!(self.inside.contains(&identity), "{path:?} by {resolver:?} is outside");
            }
            match root.look(path, Patience::Cached) {
                Err(Errno::AGAIN) => {}
                cached => {
                    let cached = cached.as_ref().map(self::identity).map_err(|errno| *errno);
                    assert_eq!(cached, identity, "{path:?} by {resolver:?}, cached");
                }
            }
            // Where links are refused the portable way takes only what a site asks for; and
            // who walks by himself can go further than the kernel can be told at once.
            if *resolver == Resolver::Portable
                && (path.len() >= walk::PATH_BYTES || *links == Links::Refused && !is_plain(path))
            {
                continue;
            }
            let links = match links {
                Links::Followed => walk::Links::Followed,
                Links::Refused => walk::Links::Refused,
            };
            let walked = walk::open(&self.root, path, links).map(|file| {
                let metadata = file.metadata().expect("metadata");
                (metadata.dev(), metadata.ino())
            });
            // cap-std gives a directory that may be searched and not read: one can do no more
            // with it than be told that it is one.
            let is_searched = *resolver == Resolver::Portable
                && walked == Err(Errno::ACCESS)
                && found.is_ok_and(|found| found.kind == FileType::Directory);
            if is_searched {
                continue;
            }
            assert_eq!(
                identity.ok(),
                walked.ok(),
                "{path:?} by {resolver:?}, links {links:?}: {identity:?}, walked: {walked:?}"
            );
        }
    }
}

/// Has cap-std walk by itself. Where the kernel has `openat2` it uses that, and would be no
/// second opinion; it stops when it hears, as one thread does here, that there is none.
fn forget_openat2(root: &Path) {
    let root = root.to_owned();
    let told = std::thread::spawn(move || {
        let no_such_call = SeccompAction::Errno(Errno::NOSYS.raw_os_error().unsigned_abs());
        let calls = BTreeMap::from([(libc::SYS_openat2, Vec::new())]);
        let machine = std::env::consts::ARCH.try_into().expect("a machine with filters");
        let filter = SeccompFilter::new(calls, SeccompAction::Allow, no_such_call, machine);
        let filter: BpfProgram = filter.and_then(TryInto::try_into).expect("a filter");
        seccompiler::apply_filter(&filter).expect("the filter of this thread");
        let root = Root::open(&root, Resolver::Portable, Links::Followed).expect("the root");
        root.look("a", Patience::Wait).expect("a file");
    });
    told.join().expect("it is told");
}

/// Whether it is a path as a site asks for: relative, and every name leads down.
fn is_plain(path: &str) -> bool {
    path.split('/').all(|name| !matches!(name, "" | "." | ".."))
}

fn identity(found: &Found) -> (u64, u64) {
    let metadata = found.file.metadata().expect("metadata");
    (metadata.dev(), metadata.ino())
}

/// Notes everything beneath this directory, and itself.
fn note(directory: &Path, inside: &mut HashSet<(u64, u64)>) {
    let metadata = fs::metadata(directory).expect("metadata");
    inside.insert((metadata.dev(), metadata.ino()));
    for entry in fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let metadata = entry.metadata().expect("metadata");
        inside.insert((metadata.dev(), metadata.ino()));
        if metadata.is_dir() {
            note(&entry.path(), inside);
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // So that it can be removed by who is not root.
        for path in ["closed", "blind"] {
            let _ = fs::set_permissions(self.root.join(path), Permissions::from_mode(0o700));
        }
    }
}
