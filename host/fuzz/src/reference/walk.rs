//! What a path names beneath a root: walked name by name, link by link, without
//! `openat2` (which cap-std uses too where the kernel has it).

use std::fs::File;
use std::path::Path;

use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::Errno;

/// Links in one walk, as many as the kernel follows (`MAXSYMLINKS`).
const LINKS: usize = 40;

/// Bytes of a path with its end (`PATH_MAX`).
pub const PATH_BYTES: usize = 4096;

/// What becomes of symbolic links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    Followed,
    Refused,
}

/// Opens a path beneath the root.
pub fn open(root: &Path, path: &str, links: Links) -> Result<File, Errno> {
    let handle = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    // The directories from the root down to where the walk is.
    let mut trail: Vec<OwnedFd> = vec![openat(CWD, root, directory, Mode::empty())?];
    // The names that are still to come, the next one last.
    let mut names = names(path.as_bytes())?;
    let mut followed = 0;
    while let Some(name) = names.pop() {
        let here = trail.last().expect("the walk is somewhere");
        if name == b".." {
            // To leave a directory one must be allowed to search it.
            openat(here, c".", handle | OFlags::DIRECTORY, Mode::empty())?;
            openat(here, c"..", handle, Mode::empty())?;
            trail.pop();
            if trail.is_empty() {
                return Err(Errno::XDEV);
            }
            continue;
        }
        let found = openat(here, name.as_slice(), handle, Mode::empty())?;
        if name == b"." {
            continue;
        }
        let kind = FileType::from_raw_mode(fstat(&found)?.st_mode);
        match kind {
            FileType::Directory => trail.push(found),
            FileType::Symlink if links == Links::Refused => return Err(Errno::LOOP),
            FileType::Symlink => {
                followed += 1;
                if followed > LINKS {
                    return Err(Errno::LOOP);
                }
                let target = readlinkat(here, name.as_slice(), Vec::new())?;
                let mut target = target.as_bytes();
                // One that is absolute may lead back.
                if target.starts_with(b"/") {
                    if target.len() >= PATH_BYTES {
                        return Err(Errno::NAMETOOLONG);
                    }
                    target = inside(target, root).ok_or(Errno::XDEV)?;
                    trail.truncate(1);
                }
                if !target.is_empty() {
                    names.extend(self::names(target)?);
                }
            }
            _ if !names.is_empty() => return Err(Errno::NOTDIR),
            _ => {
                let flags = OFlags::RDONLY
                    | OFlags::NOFOLLOW
                    | OFlags::NONBLOCK
                    | OFlags::NOCTTY
                    | OFlags::CLOEXEC;
                return openat(here, name.as_slice(), flags, Mode::empty()).map(File::from);
            }
        }
    }
    let here = trail.last().expect("the walk is somewhere");
    openat(here, c".", directory, Mode::empty()).map(File::from)
}

/// What follows the root's path in an absolute one: a file system without links above the root,
/// as the trees of these tests are in, has no other way to it that text tells.
fn inside<'a>(mut target: &'a [u8], root: &Path) -> Option<&'a [u8]> {
    for name in root.components().skip(1) {
        target = skip(target).strip_prefix(name.as_os_str().as_encoded_bytes())?;
        if !matches!(target.first(), None | Some(b'/')) {
            return None;
        }
    }
    let is_directory = target.ends_with(b"/") || target.ends_with(b"/.");
    let rest = skip(target);
    Some(if rest.is_empty() && is_directory { b"." } else { rest })
}

/// Without the slashes, and the names that are one dot, that it begins with.
fn skip(mut path: &[u8]) -> &[u8] {
    loop {
        path = match path {
            [b'/', rest @ ..] | [b'.', b'/', rest @ ..] => rest,
            b"." => &[],
            _ => return path,
        };
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
    let parts = path.split(|&byte| byte == b'/').filter(|name| !name.is_empty());
    let mut names: Vec<Vec<u8>> = parts.map(<[u8]>::to_vec).collect();
    if path.ends_with(b"/") {
        names.push(b".".to_vec());
    }
    names.reverse();
    Ok(names)
}
