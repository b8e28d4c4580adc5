//! What to do where the sandbox refuses a file that the file system allows.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Access, access};

use super::how::How;

/// Whether the sandbox says which files this process may open.
static IS_CONFINED: AtomicBool = AtomicBool::new(false);

/// From now on it does.
pub(super) fn note_confined() {
    IS_CONFINED.store(true, Ordering::Relaxed);
}

/// The sandbox refuses a file.
#[derive(Debug)]
struct Refusal {
    path: PathBuf,
    how: How,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let real = self.path.canonicalize().unwrap_or_else(|_| self.path.clone());
        let real_path = real.display();
        match self.how {
            How::Read => {
                // Not `/`, and nothing right beneath it.
                let above = real.parent().filter(|above| above.components().count() > 2);
                let above = above.unwrap_or(&real).display();
                write!(
                    f,
                    "the sandbox does not let the server read {real_path}: restart it with \
                     --allow-read {above}"
                )
            }
            How::Append => write!(
                f,
                "the sandbox lets the server write those logs alone that its settings named at the \
                 start: restart it to write {real_path}"
            ),
        }
    }
}

impl Error for Refusal {}

/// The error of opening a file or directory, with what to do about it where the sandbox refuses
/// what the file system allows. Its kind stays.
pub fn explain(path: &Path, how: How, error: io::Error) -> io::Error {
    let is_refused = || IS_CONFINED.load(Ordering::Relaxed) && is_allowed(path, how);
    if error.kind() != io::ErrorKind::PermissionDenied || is_refusal(&error) || !is_refused() {
        return error;
    }
    io::Error::new(error.kind(), Refusal { path: path.to_owned(), how })
}

/// Whether this error says already what to do about the sandbox.
pub fn is_refusal(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|error| error.is::<Refusal>())
}

/// Whether the file system allows it: the sandbox refuses opening alone, and not this question.
fn is_allowed(path: &Path, how: How) -> bool {
    match how {
        How::Read => access(path, Access::READ_OK).is_ok(),
        How::Append if path.exists() => access(path, Access::WRITE_OK).is_ok(),
        How::Append => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
            access(folder.unwrap_or(Path::new(".")), Access::WRITE_OK).is_ok()
        }
    }
}
