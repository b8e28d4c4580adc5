//! `innkeeper health ADMIN`: whether a server is well, for who has no other client, such as
//! a container.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::transport::ListenAddress;

/// For each step. Who asks wants to know within seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes of an answer that are read: its status line is what counts.
const ANSWER_BYTES: u64 = 4 << 10;

/// Asks. Succeeds if the answer is 200.
pub fn run(admin: &ListenAddress) -> anyhow::Result<ExitCode> {
    let answer = ask(admin).map_err(|error| match error.kind() {
        // A read that has waited for long enough ends like that.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            anyhow!("{admin} does not respond within {PATIENCE:?}")
        }
        _ => anyhow!("{admin} does not respond: {error}"),
    })?;
    let status = answer.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("{admin} responds: {status:?}");
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(admin: &ListenAddress) -> io::Result<String> {
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            converse(stream)
        }
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            converse(stream)
        }
    }
}

fn converse(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(ANSWER_BYTES).read_to_string(&mut answer)?;
    Ok(answer)
}
