//! Becomes a user without privileges, for good: a server that was started as root to listen at
//! ports below 1024, once it does.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::{error, fmt};

use rustix::fs::{Gid, Mode, OFlags, Uid};
use rustix::io::Errno;
use rustix::process::{geteuid, getuid};
use rustix::thread::{set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid};

/// A user, as the kernel knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its name, or its number.
    pub name: String,
    /// Its number.
    pub user: u32,
    /// The number of its group.
    pub group: u32,
    /// All of its groups.
    pub groups: Vec<u32>,
}

/// Why this process is not another user now.
#[derive(Debug)]
pub enum AccountError {
    /// It is not root, and not that user.
    NotRoot(String),
    /// It has more threads than one, which would stay what they are.
    Threads,
    /// The kernel refuses it.
    Refused(String, Errno),
    /// It could be root again.
    StillRoot,
}

impl fmt::Display for AccountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AccountError::NotRoot(name) => {
                write!(f, "only root becomes {name}: start as root, or leave out --user")
            }
            AccountError::Threads => f.write_str("threads were started before the user is changed"),
            AccountError::Refused(name, error) => write!(
                f,
                "cannot become {name}: {error} (it takes CAP_SETUID and CAP_SETGID; --user root \
                 stays root)"
            ),
            AccountError::StillRoot => {
                f.write_str("the kernel lets this process become root again")
            }
        }
    }
}

impl error::Error for AccountError {}

/// Whether this process may do what root may.
pub fn is_root() -> bool {
    geteuid().is_root()
}

impl Account {
    /// Whether it is root: no process becomes that.
    pub fn is_root(&self) -> bool {
        self.user == 0
    }

    /// Becomes this user and no other any more, nor does any process that this one starts. To be
    /// called while there is one thread. One that is this user already stays it.
    pub fn assume(&self) -> Result<(), AccountError> {
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        if !is_root() {
            let is_it = geteuid() == user && getuid() == user;
            return if is_it { Ok(()) } else { Err(AccountError::NotRoot(self.name.clone())) };
        }
        if self.is_root() {
            return Ok(());
        }
        // Without /proc it is not known.
        if fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() > 1) {
            return Err(AccountError::Threads);
        }
        let groups: Vec<_> = self.groups.iter().map(|&group| Gid::from_raw(group)).collect();
        // Groups first: a process without privileges cannot change them.
        set_thread_groups(&groups)
            .and_then(|()| set_thread_res_gid(group, group, group))
            .and_then(|()| set_thread_res_uid(user, user, user))
            .and_then(|()| set_no_new_privs(true).map_err(|_| Errno::PERM))
            .map_err(|error| AccountError::Refused(self.name.clone(), error))?;
        match set_thread_res_uid(None, Uid::ROOT, None) {
            Err(_) => Ok(()),
            Ok(()) => Err(AccountError::StillRoot),
        }
    }

    /// Makes a directory for this user alone, if it is not there; folders above it belong to root.
    /// One of another user is refused. To be called before the user is changed.
    pub fn make_directory(&self, path: &Path) -> Result<(), DirectoryError> {
        let failed = |error| DirectoryError::Io(path.to_owned(), error);
        if let Some(parent) = path.parent() {
            DirBuilder::new().recursive(true).mode(0o755).create(parent).map_err(failed)?;
        }
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => self.owns(path),
            Err(error) => Err(failed(error)),
            Ok(()) => {
                let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let made = rustix::fs::open(path, flags, Mode::empty());
                let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
                made.and_then(|made| rustix::fs::fchown(&made, Some(user), Some(group)))
                    .map_err(|error| failed(error.into()))
            }
        }
    }

    /// Whether a directory belongs to this user, if it is there.
    pub fn owns(&self, path: &Path) -> Result<(), DirectoryError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.uid() == self.user => Ok(()),
            Ok(metadata) => Err(DirectoryError::OfAnother {
                path: path.to_owned(),
                owner: metadata.uid(),
                name: self.name.clone(),
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(DirectoryError::Io(path.to_owned(), error)),
        }
    }
}

/// Why a user has not got a directory.
#[derive(Debug)]
pub enum DirectoryError {
    /// It cannot be made.
    Io(PathBuf, io::Error),
    /// Another user has it.
    OfAnother {
        /// The directory.
        path: PathBuf,
        /// Its owner's number.
        owner: u32,
        /// The user that is to have it.
        name: String,
    },
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Io(path, error) => write!(f, "cannot make {}: {error}", path.display()),
            DirectoryError::OfAnother { path, owner, name } => {
                let path = path.display();
                let owner = if *owner == 0 { "root".to_owned() } else { format!("user {owner}") };
                write!(
                    f,
                    "{path} belongs to {owner}: give it to {name} (chown -R {name}: {path}), or \
                     name another directory"
                )
            }
        }
    }
}

impl error::Error for DirectoryError {}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::MetadataExt;

    use super::{Account, AccountError, DirectoryError, is_root};

    fn account(user: u32) -> Account {
        Account { name: user.to_string(), user, group: user, groups: vec![user] }
    }

    #[test]
    fn directory_is_for_the_user_alone() {
        if !is_root() {
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b");
        account(33).make_directory(&path).expect("a directory");
        let made = fs::metadata(&path).expect("a directory");
        assert_eq!((made.uid(), made.gid(), made.mode() & 0o777), (33, 33, 0o700));
        assert_eq!(fs::metadata(folder.path().join("a")).expect("a directory").uid(), 0);
        account(33).make_directory(&path).expect("it is there");
        let error = account(34).make_directory(&path).expect_err("another's");
        assert!(matches!(error, DirectoryError::OfAnother { owner: 33, .. }), "{error}");
    }

    #[test]
    fn process_with_threads_stays_what_it_is() {
        // A test has a thread of its own.
        let error = account(33).assume().expect_err("threads, or no privilege");
        assert!(matches!(error, AccountError::Threads | AccountError::NotRoot(_)), "{error}");
    }
}
