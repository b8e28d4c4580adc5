//! `innkeeper health ADMIN`: asks the administration of a server for its health, where there is no
//! other client, as in a container.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{anyhow, bail};

use crate::transport::ListenAddress;

/// Time for each step. A health check has seconds.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Bytes of a response that are read: its status line counts.
const RESPONSE_BYTES: u64 = 4 << 10;

/// Succeeds if the response is 200.
pub fn run(admin: &ListenAddress) -> anyhow::Result<ExitCode> {
    let response = ask(admin).map_err(|error| match error.kind() {
        // So a read ends that reaches its timeout.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            anyhow!("{admin} does not respond within {TIMEOUT:?}")
        }
        _ => anyhow!("{admin} does not respond: {error}"),
    })?;
    let status = response.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        bail!("{admin} responds: {status:?}");
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(admin: &ListenAddress) -> io::Result<String> {
    match admin {
        ListenAddress::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, TIMEOUT)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            exchange(stream)
        }
        ListenAddress::Unix(path) => {
            let stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(TIMEOUT))?;
            exchange(stream)
        }
    }
}

fn exchange(mut stream: impl Read + Write) -> io::Result<String> {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut response = String::new();
    stream.take(RESPONSE_BYTES).read_to_string(&mut response)?;
    Ok(response)
}
