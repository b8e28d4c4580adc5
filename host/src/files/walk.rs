//! Walks a path beneath the root name by name, and opens no file: where one operation of the kernel
//! does not show enough. It finds
//!
//! - where a symbolic link leads that is absolute and leads back into the root;
//! - on which mount each name is, so that a file system which may wait is asked by threads of its
//!   own alone.
//!
//! The result is a path without links. That one is opened beneath the root like any other: swapping a
//! directory for a link meanwhile gains nothing.

use std::ffi::{CString, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::options::Links;
use super::resolver::Patience;
use crate::disk::place::{Mount, is_proc, known};

/// Links in one walk, as many as the kernel follows (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// Bytes of a link's target with its end (`PATH_MAX`).
const PATH_BYTES: usize = 4096;

/// A walk that is under way.
pub struct Walk {
    /// The directories below the root down to where it is.
    trail: Vec<Step>,
    /// The last name, if it leads to no directory.
    end: Option<Step>,
    /// The names that are still to come, the next one last.
    names: Vec<Vec<u8>>,
    followed: usize,
}

struct Step {
    name: Vec<u8>,
    handle: OwnedFd,
    mount: Mount,
}

/// Where a walk begins, and its permissions.
pub(super) struct Ground<'a> {
    pub(super) root: BorrowedFd<'a>,
    pub(super) mount: Mount,
    /// Where the root is, as absolute links may have it.
    pub(super) paths: &'a [Vec<u8>],
    pub(super) links: Links,
    pub(super) patience: Patience,
}

/// Why a walk pauses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pause {
    /// All names are walked.
    Arrived,
    /// What follows is on a mount that was not allowed.
    Crossed,
}

impl Walk {
    /// Along this path.
    pub(super) fn new(path: &str) -> Result<Walk, Errno> {
        Ok(Walk { trail: Vec::new(), end: None, names: names(path.as_bytes())?, followed: 0 })
    }

    /// The handle of its position, if that is not the root.
    pub(super) fn handle(&self) -> Option<BorrowedFd<'_>> {
        self.end.as_ref().or(self.trail.last()).map(|step| step.handle.as_fd())
    }

    /// The mount of its position.
    pub(super) fn mount(&self, ground: &Ground<'_>) -> Mount {
        self.end.as_ref().or(self.trail.last()).map_or(ground.mount, |step| step.mount)
    }

    /// The path: without links as far as it is walked, then the remaining names.
    pub(super) fn path(&self) -> Result<CString, Errno> {
        let walked = self.trail.iter().chain(&self.end).map(|step| step.name.as_slice());
        let names: Vec<&[u8]> = walked.chain(self.names.iter().rev().map(Vec::as_slice)).collect();
        let path = if names.is_empty() { b".".to_vec() } else { names.join(&b'/') };
        // No name has a NUL: it was walked, came from a link, or is refused here.
        CString::new(path).map_err(|_| Errno::INVAL)
    }

    /// Goes on, as far as it may: to names on these mounts.
    pub(super) fn go(
        &mut self,
        ground: &Ground<'_>,
        may_ask: impl Fn(Mount) -> bool,
    ) -> Result<Pause, Errno> {
        loop {
            if !may_ask(self.mount(ground)) {
                return Ok(Pause::Crossed);
            }
            let Some(name) = self.names.pop() else { return Ok(Pause::Arrived) };
            let here = self.trail.last().map_or(ground.root, |step| step.handle.as_fd());
            let found = ground.open(here, &name)?;
            if name == b".." {
                // It was opened to learn whether the directory may be searched.
                if self.trail.pop().is_none() {
                    return Err(Errno::XDEV);
                }
                continue;
            }
            if name == b"." {
                continue;
            }
            let known = known(&found)?;
            match known.kind {
                FileType::Directory => {
                    self.trail.push(Step { name, handle: found, mount: known.mount });
                }
                FileType::Symlink => self.follow(ground, &found)?,
                _ if !self.names.is_empty() => return Err(Errno::NOTDIR),
                _ => self.end = Some(Step { name, handle: found, mount: known.mount }),
            }
        }
    }

    fn follow(&mut self, ground: &Ground<'_>, link: &OwnedFd) -> Result<(), Errno> {
        self.followed += 1;
        if ground.links == Links::Refused || self.followed > LINKS {
            return Err(Errno::LOOP);
        }
        let target = readlinkat(link, c"", Vec::new())?;
        let target = target.as_bytes();
        if !target.starts_with(b"/") {
            self.names.extend(names(target)?);
            return Ok(());
        }
        if target.len() >= PATH_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        let inside = ground.paths.iter().find_map(|root| strip(target, root));
        let inside = inside.ok_or(Errno::XDEV)?;
        // The text of a link of /proc is not where it leads.
        if is_proc(link) {
            return Err(Errno::LOOP);
        }
        self.trail.clear();
        self.names.extend(inside);
        Ok(())
    }
}

impl Ground<'_> {
    /// Opens a name as a place to walk from (`O_PATH`): no file system notices that.
    fn open(&self, here: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        let name = Path::new(OsStr::from_bytes(name));
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match self.patience {
            Patience::Cached => openat2(here, name, flags, Mode::empty(), ResolveFlags::CACHED),
            Patience::WaitForDisk | Patience::Wait => openat(here, name, flags, Mode::empty()),
        }
    }
}

/// The names of a path, the first one last. What ends in `/` ends in a directory.
fn names(path: &[u8]) -> Result<Vec<Vec<u8>>, Errno> {
    match path {
        [] => return Err(Errno::NOENT),
        [b'/', ..] => return Err(Errno::XDEV),
        _ if path.contains(&0) => return Err(Errno::INVAL),
        _ if path.len() >= PATH_BYTES => return Err(Errno::NAMETOOLONG),
        _ => {}
    }
    Ok(reversed(parts(path), path.ends_with(b"/")))
}

fn parts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
}

fn reversed<'a>(parts: impl Iterator<Item = &'a [u8]>, is_directory: bool) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    if is_directory {
        names.push(b".".to_vec());
    }
    names.reverse();
    names
}

/// The names of an absolute path that follow those of the root, the first one last, if it begins
/// with those.
fn strip(target: &[u8], root: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut names = parts(target).filter(|name| *name != b".");
    for wanted in parts(root).filter(|name| *name != b".") {
        names.next().filter(|name| *name == wanted)?;
    }
    let is_directory = target.ends_with(b"/") || target.ends_with(b"/.");
    Some(reversed(names, is_directory))
}

#[cfg(test)]
mod tests {
    use super::strip;

    #[test]
    fn absolute_target_in_root_is_relative_to_root() {
        let check = |target: &str, root: &str, expected: Option<&str>| {
            let names = strip(target.as_bytes(), root.as_bytes());
            let names = names.map(|names| {
                let names: Vec<_> =
                    names.iter().rev().map(|name| String::from_utf8_lossy(name)).collect();
                names.join("/")
            });
            assert_eq!(names.as_deref(), expected, "{target} in {root}");
        };
        for root in ["/srv/site", "/srv/site/", "//srv/./site"] {
            check("/srv/site/a/b", root, Some("a/b"));
            check("/srv//site/./a/", root, Some("a/."));
            check("/srv/site", root, Some(""));
            check("/srv/site/", root, Some("."));
            check("/srv/site/../other", root, Some("../other"));
            check("/srv/site2/a", root, None);
            check("/srv/other/../site/a", root, None);
            check("/srv", root, None);
            check("/", root, None);
        }
        check("/etc/passwd", "/", Some("etc/passwd"));
        check("/", "/", Some("."));
    }
}
