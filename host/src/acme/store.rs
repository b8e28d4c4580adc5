//! The folder of the fetcher: all that it knows is in it, and is whole whenever it is killed.
//!
//! ```text
//! NAME -> .certificates/NAME/HASH.N   a link, replaced in one step, to a folder with
//!   fullchain.pem                       the certificate and what is behind it
//!   privkey.pem                         its key
//! .private/                           what the server itself may not read
//!   lock                                who orders
//!   challenges/TOKEN                    what proves a name: for each server of this folder
//!   HASH/                               of the authority whose directory has this hash
//!     account                             the account
//!     NAME.json                           what is known of a name
//!     NAME.key                            the key of the order in progress
//! ```
//!
//! No name begins with a dot, so none can be one of these folders.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};
use std::{error, fmt};

use rustix::fs::OFlags;
use rustix::process::geteuid;

use crate::random;
use crate::tls::certificates::leaf::hex;

/// Bytes of a file that is read.
const FILE_BYTES: u64 = 1 << 20;

/// How files are called that are not whole yet.
const UNFINISHED: &str = "unfinished";

/// One that is older was left by a fetcher that was killed.
const STALE: Duration = Duration::from_secs(3600);

/// Files that are looked through for those.
const LOOKED_THROUGH: usize = 10_000;

/// The folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

/// What tells whether a folder is another one than before: its device, and its number there.
pub(super) type Identity = (u64, u64);

/// Why a folder is not used.
#[derive(Debug)]
pub enum FolderError {
    /// It cannot be made or written.
    Io(io::Error),
    /// This path in it belongs to another user.
    OtherOwner(PathBuf),
    /// Others may write to this path.
    Writable(PathBuf, u32),
    /// This path in it is no folder.
    NoFolder(PathBuf),
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FolderError::Io(error) => error.fmt(f),
            FolderError::OtherOwner(path) => {
                write!(f, "{} belongs to another user than the server's", path.display())
            }
            FolderError::Writable(path, mode) => write!(
                f,
                "others may write to {path} (mode {mode:o}), and so have keys of theirs used: chmod 700 \
                 {path}, or name a directory in it",
                path = path.display()
            ),
            FolderError::NoFolder(path) => {
                write!(f, "{} is no directory: move it away", path.display())
            }
        }
    }
}

impl error::Error for FolderError {}

impl From<io::Error> for FolderError {
    fn from(error: io::Error) -> FolderError {
        FolderError::Io(error)
    }
}

impl Folder {
    /// Opens the folder, and makes it if it is not there, for this user alone. One that others may
    /// write to is refused, and links in it are not followed.
    pub fn open(path: &Path) -> Result<Folder, FolderError> {
        make(path)?;
        is_own(path, &fs::metadata(path)?)?;
        let folder = Folder(path.to_owned());
        for part in [folder.certificates(), folder.private(), folder.private().join("challenges")] {
            make(&part)?;
            is_own(&part, &fs::symlink_metadata(&part)?)?;
        }
        // What cannot be written is found out now, and not when a certificate has expired.
        folder.probe()?;
        Ok(folder)
    }

    /// The folder, which is there.
    pub fn at(path: &Path) -> Folder {
        Folder(path.to_owned())
    }

    /// Which folder it is now; none if it is gone.
    pub(super) fn identity(&self) -> Option<Identity> {
        let metadata = fs::metadata(&self.0).ok()?;
        Some((metadata.dev(), metadata.ino()))
    }

    /// Finds out whether it can be written.
    pub(super) fn probe(&self) -> io::Result<()> {
        let probe = unfinished_in(&self.private())?;
        self.write(&probe, b"")?;
        match fs::remove_file(&probe) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where the certificates themselves are, which the names lead to.
    pub(super) fn certificates(&self) -> PathBuf {
        self.0.join(".certificates")
    }

    /// What is the fetcher's alone.
    pub(super) fn private(&self) -> PathBuf {
        self.0.join(".private")
    }

    /// Writes a file, which is whole whenever it has its name, and is for this user alone. Its
    /// folder is made if it is gone.
    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let folder = path.parent().unwrap_or(&self.0);
        make(folder)?;
        let unfinished = unfinished_in(folder)?;
        let mut options = OpenOptions::new();
        let opened = options.write(true).create_new(true).mode(0o600).open(&unfinished);
        let written = opened.and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&unfinished, path)?;
            sync(folder)
        });
        if written.is_err() {
            // Without it there is nothing to clear away.
            let _ = fs::remove_file(&unfinished);
        }
        written
    }

    /// Removes what a fetcher that was killed has not finished.
    pub(super) fn clear_unfinished(&self) {
        let mut folders = vec![self.0.clone(), self.private()];
        for at in 0.. {
            let Some(folder) = folders.get(at).cloned() else { return };
            let Ok(entries) = fs::read_dir(&folder) else { continue };
            for entry in entries.flatten().take(LOOKED_THROUGH) {
                let Ok(metadata) = entry.metadata() else { continue };
                if metadata.is_dir() && folder == self.private() {
                    folders.push(entry.path());
                }
                let name = entry.file_name();
                let is_unfinished =
                    name.to_str().is_some_and(|name| name.ends_with(&format!(".{UNFINISHED}")));
                let age = metadata.modified().ok().map(|at| SystemTime::now().duration_since(at));
                if is_unfinished && age.is_some_and(|age| age.is_ok_and(|age| age > STALE)) {
                    let _ = fs::remove_file(entry.path());
                }
            }
        }
    }

    /// The time as the folder's file system has it, which those that share it have in common.
    pub(super) fn now(&self) -> SystemTime {
        let touched = unfinished_in(&self.private()).and_then(|path| {
            let touched = self.write(&path, b"now").and_then(|()| fs::metadata(&path)?.modified());
            let _ = fs::remove_file(&path);
            touched
        });
        touched.unwrap_or_else(|_| SystemTime::now())
    }
}

/// A path in this folder that is no other's, for what is not finished.
pub(super) fn unfinished_in(folder: &Path) -> io::Result<PathBuf> {
    Ok(folder.join(format!(".{}.{UNFINISHED}", random_name()?)))
}

/// A name that no one else chooses: of another server, in another container.
pub(super) fn random_name() -> io::Result<String> {
    Ok(hex(&random::bytes::<8>()?))
}

/// Makes a folder for this user alone, if it is not there.
pub(super) fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// Has the names in a folder survive a crash of the machine.
pub(super) fn sync(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Whether a folder is this user's, or the administrator's, and no other may write to it.
fn is_own(path: &Path, metadata: &fs::Metadata) -> Result<(), FolderError> {
    if !metadata.is_dir() {
        return Err(FolderError::NoFolder(path.to_owned()));
    }
    if ![0, geteuid().as_raw()].contains(&metadata.uid()) {
        return Err(FolderError::OtherOwner(path.to_owned()));
    }
    match metadata.mode() & 0o7777 {
        mode if mode & 0o022 != 0 => Err(FolderError::Writable(path.to_owned(), mode)),
        _ => Ok(()),
    }
}

/// Reads what this user has written for itself alone; `None` where there is nothing. A link, or what
/// others may read or have written, is an error.
pub(super) fn read_private(path: &Path) -> io::Result<Option<String>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let metadata = file.metadata()?;
    let is_of_user = metadata.uid() == geteuid().as_raw() && metadata.mode() & 0o077 == 0;
    if !metadata.is_file() || !is_of_user {
        return Err(io::Error::other(format!(
            "{path} is not for the server's user alone: chmod 600 {path}, or remove it",
            path = path.display()
        )));
    }
    let mut text = String::new();
    file.take(FILE_BYTES + 1).read_to_string(&mut text)?;
    match text.len() as u64 > FILE_BYTES {
        true => Err(io::ErrorKind::FileTooLarge.into()),
        false => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::thread;

    use super::{Folder, FolderError, read_private};

    #[test]
    fn folder_that_others_may_write_to_is_refused() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("state");
        drop(Folder::open(&path).expect("a folder"));
        assert_eq!(fs::metadata(&path).expect("it").permissions().mode() & 0o777, 0o700);
        for (part, mode) in
            [("", 0o777), ("", 0o770), (".private", 0o702), (".certificates", 0o720)]
        {
            let part = path.join(part);
            fs::set_permissions(&part, Permissions::from_mode(mode)).expect("a mode");
            let error = Folder::open(&path).expect_err("others write there");
            assert!(matches!(error, FolderError::Writable(..)), "{error}");
            assert!(error.to_string().contains("chmod 700"), "{error}");
            fs::set_permissions(&part, Permissions::from_mode(0o700)).expect("a mode");
        }
        Folder::open(&path).expect("it is whole again");
    }

    #[test]
    fn link_in_the_folder_is_not_followed() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("state");
        fs::create_dir_all(place.path().join("elsewhere")).expect("a folder");
        fs::create_dir(&path).expect("a folder");
        symlink("../elsewhere", path.join(".private")).expect("a link");
        let error = Folder::open(&path).expect_err("a link");
        assert!(matches!(error, FolderError::NoFolder(_)), "{error}");
        let file = place.path().join("file");
        fs::write(&file, "a key").expect("a file");
        fs::set_permissions(&file, Permissions::from_mode(0o600)).expect("a mode");
        assert_eq!(read_private(&file).expect("a file").as_deref(), Some("a key"));
        symlink(&file, place.path().join("link")).expect("a link");
        assert!(read_private(&place.path().join("link")).is_err());
        fs::set_permissions(&file, Permissions::from_mode(0o604)).expect("a mode");
        assert!(read_private(&file).expect_err("for all").to_string().contains("chmod 600"));
        assert!(read_private(&place.path().join("none")).expect("nothing").is_none());
        assert!(read_private(place.path()).is_err());
    }

    #[test]
    fn servers_that_start_at_once_open_one_folder() {
        let place = tempfile::tempdir().expect("a folder");
        let path = place.path().join("state");
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        Folder::open(&path).expect("a folder");
                    }
                });
            }
        });
        assert_eq!(fs::read_dir(path.join(".private")).expect("it").count(), 1);
    }

    #[test]
    fn file_is_whole_whoever_writes_it() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(&place.path().join("state")).expect("a folder");
        let path = folder.private().join("a");
        let text = |number: usize| number.to_string().repeat(10_000);
        thread::scope(|scope| {
            for number in 0..4 {
                let (folder, path) = (&folder, &path);
                scope.spawn(move || {
                    for _ in 0..20 {
                        folder.write(path, text(number).as_bytes()).expect("written");
                        let read = read_private(path).expect("a file").expect("text");
                        assert!((0..4).any(|number| read == text(number)));
                    }
                });
            }
        });
    }
}
