//! What the kernel still holds of what was sent on a socket.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::ioctl::{Getter, Opcode, ioctl};
use socket2::SockRef;

/// `SIOCOUTQ` of linux/sockios.h, as on x86, Arm and RISC-V: a number, as C libraries do not agree
/// on its type.
const SIOCOUTQ: Opcode = 0x5411;

/// Bytes that were sent on a socket and that the kernel still holds: the client's kernel has
/// not acknowledged them, or they are not on their way yet (`SIOCOUTQ`, tcp(7)). The end of a
/// half that was shut down counts as one. A system that cannot tell holds none.
#[expect(unsafe_code, reason = "no library that we have asks for the length of a send queue")]
pub(crate) fn unacknowledged(socket: impl AsFd) -> u64 {
    // SAFETY: this request takes no argument but the address of a `c_int`, to which it writes
    // the length, or fails and writes nothing (tcp(7), unix(7), ioctl_tty(2)); it changes
    // nothing else. `Getter` hands over the address of a `c_int` of its own.
    let asked = unsafe { ioctl(socket, Getter::<SIOCOUTQ, libc::c_int>::new()) };
    asked.ok().and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0)
}

/// Has the kernel forget what it holds, and tell the client so, when the socket is closed: it
/// would go on sending for minutes, beyond every limit on connections.
pub(crate) fn reset_on_close(socket: impl AsFd) {
    // Refused for no socket of TCP. One of another kind has no such queue.
    let _ = SockRef::from(&socket).set_linger(Some(Duration::ZERO));
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};

    use super::{reset_on_close, unacknowledged};

    #[test]
    fn bytes_are_held_until_the_client_has_room_for_them() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address"));
        let mut client = client.expect("a connection");
        let (mut server, _) = listener.accept().expect("a connection");
        assert_eq!(unacknowledged(&server), 0);
        server.set_nonblocking(true).expect("a socket");
        let mut sent = 0;
        while let Ok(count) = server.write(&[0; 64 << 10]) {
            sent += count as u64;
        }
        let held = unacknowledged(&server);
        assert!(held > 0 && held <= sent, "{held} of {sent}");
        let mut taken = vec![0; 64 << 10];
        while unacknowledged(&server) > 0 {
            assert!(client.read(&mut taken).expect("bytes") > 0);
        }
        while server.write(&[0; 64 << 10]).is_ok() {}
        reset_on_close(&server);
        drop(server);
        let error = loop {
            match client.read(&mut taken) {
                Ok(0) => panic!("it was closed and not reset"),
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
}
