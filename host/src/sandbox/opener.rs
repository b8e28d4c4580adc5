//! Opens files by their names for a process that may open none of them.
//!
//! A guest's file is replaced by another of its name, a log is moved away, and a deployment
//! may replace the folder of either. To follow that a server would need rights to whole
//! folders: to all of `/` for `/policy.wasm`. So a process of its own, which is started
//! before the sandbox is entered, opens them: it knows a list of names, is asked for one by
//! its number, and gives the open file back. It reads nothing else, not even the files.
//!
//! Both ends are the same program. On a socket that keeps messages apart (`SOCK_SEQPACKET`)
//! the server sends 8 bytes, the number of the name and one of its own, and gets 8 back, its
//! own number and an error's (0 if there is none), with the open file (`SCM_RIGHTS`).

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recv, recvmsg, send, sendmsg,
};

use super::advice;
pub use super::how::How;
use crate::lock::lock;

/// How long a server waits for a file to be opened: a network file system that is gone keeps
/// the opener for ever, and the caller has a file to go on with.
const PATIENCE: Duration = Duration::from_secs(10);

/// Files that are being opened at a time: those of file systems that are gone.
const AT_A_TIME: usize = 16;

/// Bytes of a message.
const MESSAGE_BYTES: usize = 8;

/// A file that is opened by its name, and how.
pub type Named = (PathBuf, How);

/// The process that opens files for this one, where there is one. There is one for a process,
/// as there is one sandbox.
static OPENER: OnceLock<Opener> = OnceLock::new();

struct Opener {
    /// The socket, and the number of the last message.
    line: Mutex<(OwnedFd, u32)>,
    numbers: HashMap<Named, u32>,
}

/// From now on these files are opened by the process at the other end of this socket.
pub fn ask_at(socket: OwnedFd, files: Vec<Named>) -> io::Result<()> {
    set_socket_timeout(&socket, Timeout::Recv, Some(PATIENCE))?;
    // One that has not read for long has a full socket.
    set_socket_timeout(&socket, Timeout::Send, Some(PATIENCE))?;
    let opener = Opener::new(socket, files);
    OPENER.set(opener).map_err(|_| io::ErrorKind::AlreadyExists.into())
}

/// Opens a file without waiting for another end of it, here or in the process that does so
/// for this one. The error says what to do where the sandbox refuses it.
pub fn open(path: &Path, how: How) -> io::Result<File> {
    let opener = OPENER.get().and_then(|opener| Some((opener, opener.number_of(path, how)?)));
    match opener {
        Some((opener, number)) => opener.ask(number),
        None => open_here(path, how).map_err(|error| advice::explain(path, how, error)),
    }
}

fn open_here(path: &Path, how: How) -> io::Result<File> {
    let mut options = OpenOptions::new();
    // It may be a FIFO, whose other end is not open, or a terminal.
    options.custom_flags((OFlags::NONBLOCK | OFlags::NOCTTY).bits().cast_signed());
    match how {
        How::Read => options.read(true),
        // Readable by its group, as others expect of logs, and by no other user.
        How::Append => options.append(true).create(true).mode(0o640),
    };
    options.open(path)
}

impl Opener {
    fn new(socket: OwnedFd, files: Vec<Named>) -> Opener {
        Opener { line: Mutex::new((socket, 0)), numbers: files.into_iter().zip(0..).collect() }
    }

    fn number_of(&self, path: &Path, how: How) -> Option<u32> {
        self.numbers.get(&(path.to_owned(), how)).copied()
    }

    fn ask(&self, number: u32) -> io::Result<File> {
        // A message is whole or not there, also after a panic.
        let mut line = lock(&self.line);
        let (socket, last) = &mut *line;
        *last = last.wrapping_add(1);
        let [one, other] = [number, *last].map(u32::to_le_bytes);
        again(|| send(&*socket, &[one, other].concat(), SendFlags::NOSIGNAL)).map_err(gone)?;
        loop {
            let (ticket, error, file) = hear(socket)?;
            // A response that was no longer waited for comes later.
            if ticket == *last {
                return match (error, file) {
                    (0, Some(file)) => Ok(file.into()),
                    (0, None) => Err(io::Error::other("the opener sent no file")),
                    (error, _) => Err(io::Error::from_raw_os_error(error)),
                };
            }
        }
    }
}

/// A response: its question, the error's number, and the file.
fn hear(socket: &OwnedFd) -> io::Result<(u32, i32, Option<OwnedFd>)> {
    let mut bytes = [0; MESSAGE_BYTES];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = RecvAncillaryBuffer::new(&mut space);
    let length = again(|| {
        let parts = &mut [IoSliceMut::new(&mut bytes)];
        recvmsg(socket, parts, &mut with, RecvFlags::CMSG_CLOEXEC).map(|message| message.bytes)
    })
    .map_err(gone)?;
    if length != MESSAGE_BYTES {
        return Err(gone(Errno::PIPE));
    }
    let file = with.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    let [a, b, c, d, e, f, g, h] = bytes;
    Ok((u32::from_le_bytes([a, b, c, d]), i32::from_le_bytes([e, f, g, h]), file))
}

fn gone(error: Errno) -> io::Error {
    match error {
        Errno::AGAIN => io::Error::new(
            io::ErrorKind::TimedOut,
            format!("it cannot be opened within {PATIENCE:?}"),
        ),
        Errno::PIPE | Errno::CONNRESET => io::Error::other(
            "the process that opens files for the server has ended; restart the server",
        ),
        other => other.into(),
    }
}

fn again<T>(mut call: impl FnMut() -> Result<T, Errno>) -> Result<T, Errno> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            done => return done,
        }
    }
}

/// Opens these files whenever it is asked to, until the other end is closed.
pub fn serve(socket: OwnedFd, files: Vec<Named>) -> io::Result<()> {
    let (socket, files) = (Arc::new(socket), Arc::new(files));
    let busy = Arc::new(AtomicUsize::new(0));
    loop {
        let mut bytes = [0; MESSAGE_BYTES];
        let length = match again(|| recv(&*socket, &mut bytes, RecvFlags::empty())) {
            Err(Errno::CONNRESET) => 0,
            received => received?.1,
        };
        if length != MESSAGE_BYTES {
            return Ok(());
        }
        let [a, b, c, d, ticket @ ..] = bytes;
        let number = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if busy.fetch_add(1, Ordering::AcqRel) >= AT_A_TIME {
            busy.fetch_sub(1, Ordering::AcqRel);
            tell(&socket, ticket, Err(io::Error::from_raw_os_error(libc::EAGAIN)))?;
            continue;
        }
        let opened = {
            let (socket, files, busy) =
                (Arc::clone(&socket), Arc::clone(&files), Arc::clone(&busy));
            move || {
                let named = files.get(number).ok_or(io::ErrorKind::NotFound.into());
                let file = named.and_then(|(path, how)| open_here(path, *how));
                // Where that cannot be sent the caller is gone.
                let _ = tell(&socket, ticket, file);
                busy.fetch_sub(1, Ordering::AcqRel);
            }
        };
        // One that does not come to an end keeps a thread, and not the next one.
        if let Err(error) = thread::Builder::new().spawn(opened) {
            busy.fetch_sub(1, Ordering::AcqRel);
            tell(&socket, ticket, Err(error))?;
        }
    }
}

fn tell(socket: &OwnedFd, ticket: [u8; 4], file: io::Result<File>) -> io::Result<()> {
    let error = match &file {
        Ok(_) => 0,
        Err(error) => error.raw_os_error().unwrap_or(libc::EIO),
    };
    let bytes = [ticket, error.to_le_bytes()].concat();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut with = SendAncillaryBuffer::new(&mut space);
    let files: Vec<_> = file.iter().map(AsFd::as_fd).collect();
    if !files.is_empty() {
        with.push(SendAncillaryMessage::ScmRights(&files));
    }
    again(|| sendmsg(socket, &[IoSlice::new(&bytes)], &mut with, SendFlags::NOSIGNAL))?;
    Ok(())
}

/// A file as an argument of the process that opens it.
pub fn to_argument((path, how): &Named) -> OsString {
    let prefix: &[u8] = match how {
        How::Read => b"read:",
        How::Append => b"append:",
    };
    OsString::from_vec([prefix, path.as_os_str().as_bytes()].concat())
}

/// The file that such an argument names.
pub fn from_argument(argument: &OsStr) -> Option<Named> {
    let bytes = argument.as_bytes();
    let (path, how) = match bytes.strip_prefix(b"read:") {
        Some(path) => (path, How::Read),
        None => (bytes.strip_prefix(b"append:")?, How::Append),
    };
    Some((PathBuf::from(OsStr::from_bytes(path)), how))
}

#[cfg(test)]
mod tests {
    use super::{How, Opener, from_argument, serve, to_argument};
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
    use std::fs;
    use std::io::{ErrorKind, Read, Write};
    use std::os::fd::OwnedFd;
    use std::path::{Path, PathBuf};
    use std::thread;

    fn pair() -> (OwnedFd, OwnedFd) {
        socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
            .expect("sockets")
    }

    #[test]
    fn files_are_opened_by_whatever_their_names_lead_to() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        fs::create_dir(path("a")).expect("a folder");
        fs::write(path("a/guest"), "one").expect("a file");
        let files = vec![(path("a/guest"), How::Read), (path("a/log"), How::Append)];
        let (ours, theirs) = pair();
        let opener = Opener::new(ours, files.clone());
        let process = thread::spawn(move || serve(theirs, files));
        let read = || {
            let number = opener.number_of(&path("a/guest"), How::Read).expect("a name");
            let mut text = String::new();
            opener.ask(number)?.read_to_string(&mut text).map(|_| text)
        };
        let append = |text: &str| {
            let number = opener.number_of(&path("a/log"), How::Append).expect("a name");
            opener.ask(number).expect("a file").write_all(text.as_bytes()).expect("written");
        };
        assert_eq!(read().expect("a file"), "one");
        append("x");
        append("y");
        // The folder is another one.
        fs::rename(path("a"), path("b")).expect("moved");
        assert_eq!(read().expect_err("gone").kind(), ErrorKind::NotFound);
        fs::create_dir(path("a")).expect("a folder");
        fs::write(path("a/guest"), "two").expect("a file");
        append("z");
        assert_eq!(read().expect("a file"), "two");
        assert_eq!(fs::read_to_string(path("b/log")).expect("a file"), "xy");
        assert_eq!(fs::read_to_string(path("a/log")).expect("a file"), "z");
        // No other name, and a name in no other way.
        assert_eq!(opener.number_of(&path("a/log"), How::Read), None);
        assert_eq!(opener.number_of(Path::new("/etc/passwd"), How::Read), None);
        assert_eq!(opener.ask(7).expect_err("no name").raw_os_error(), Some(libc::EIO));
        drop(opener);
        process.join().expect("no panic").expect("it ends with the caller");
    }

    #[test]
    fn opener_that_has_ended_is_an_error() {
        let (ours, theirs) = pair();
        let files = vec![(PathBuf::from("/"), How::Read)];
        let opener = Opener::new(ours, files);
        drop(theirs);
        let error = opener.ask(0).expect_err("the opener is gone");
        assert!(error.to_string().contains("has ended; restart"), "{error}");
    }

    #[test]
    fn names_survive_as_arguments() {
        for how in [How::Read, How::Append] {
            for path in ["/a b", "", "read:x", "\n"] {
                let named = (PathBuf::from(path), how);
                assert_eq!(from_argument(&to_argument(&named)), Some(named));
            }
        }
        assert_eq!(from_argument("unconfined".as_ref()), None);
    }
}
