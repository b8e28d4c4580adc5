//! Connections that are accepted when their client has sent something (`TCP_DEFER_ACCEPT`, tcp(7)): one
//! wake-up for each in place of two.
//!
//! A client that sends nothing is accepted when the time is over, and costs no descriptor until then.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Has a socket that listens, or will, wait for so long; whole seconds, rounded up. The kernel counts in
/// times that it sends its SYN-ACK again, and so waits for 1, 3, 7, 15, 31 or 63 seconds, the next one
/// above.
#[expect(unsafe_code, reason = "no library that we have sets this option")]
pub(crate) fn set(socket: impl AsFd, wait: Duration) -> io::Result<()> {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let seconds = libc::c_int::try_from(seconds).unwrap_or(libc::c_int::MAX);
    let length = libc::socklen_t::try_from(size_of_val(&seconds)).unwrap_or_default();
    // SAFETY: the kernel reads `length` bytes at this address, which are those of `seconds`, and
    // keeps neither; the descriptor is borrowed for as long as that takes.
    let set = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            (&raw const seconds).cast(),
            length,
        )
    };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::net::{TcpListener, TcpStream};
    use std::time::{Duration, Instant};

    /// The connection that is accepted within this time.
    fn accepted(listener: &TcpListener, within: Duration) -> bool {
        let began = Instant::now();
        loop {
            match listener.accept() {
                Ok(_) => return true,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => panic!("{error}"),
            }
            if began.elapsed() > within {
                return false;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn silent_client_is_accepted_later_and_another_at_once() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        listener.set_nonblocking(true).expect("set");
        super::set(&listener, Duration::from_millis(900)).expect("set");
        let address = listener.local_addr().expect("an address");
        let mut client = TcpStream::connect(address).expect("connected");
        client.write_all(b"x").expect("sent");
        assert!(accepted(&listener, Duration::from_secs(10)));
        let _silent = TcpStream::connect(address).expect("connected");
        assert!(!accepted(&listener, Duration::from_millis(200)));
        assert!(accepted(&listener, Duration::from_secs(20)));
    }
}
