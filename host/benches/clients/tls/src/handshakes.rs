//! A new connection for each request: full handshakes, or resumed ones.
//!
//! Each thread keeps one connection at a time: connect, handshake, one request that ends the
//! connection, all of the response, the close. In a resumed run each thread resumes with a
//! ticket of the connection before; its first handshake is full.

use std::io::{self, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::client::{ClientSessionMemoryCache, Resumption};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};

use crate::config::{self, Wire};
use crate::http1;
use crate::result::Seen;

/// Longer than any healthy response takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Names whose tickets a thread keeps: it asks for one.
const SESSIONS: usize = 1;

pub struct Plan {
    pub port: u16,
    pub path: String,
    pub threads: u32,
    pub seconds: f64,
    pub resumed: bool,
    pub group: String,
}

pub fn run(plan: &Plan) -> io::Result<()> {
    let base = config::client(Wire::Http1, &plan.group)?;
    let start = Instant::now();
    let end = start + Duration::from_secs_f64(plan.seconds);
    let mut total = Seen::default();
    thread::scope(|scope| {
        let threads: Vec<_> = (0..plan.threads)
            .map(|_| scope.spawn(|| one_after_another(plan, &base, end)))
            .collect();
        for thread in threads {
            total.add(thread.join().expect("a connection panicked"));
        }
    });
    total.print(start.elapsed());
    Ok(())
}

fn one_after_another(plan: &Plan, base: &ClientConfig, end: Instant) -> Seen {
    let mut config = base.clone();
    if plan.resumed {
        // Tickets of its own, so that no two connections offer the same one.
        config.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(SESSIONS)));
    }
    let config = Arc::new(config);
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n",
        plan.path, plan.port
    );
    let mut seen = Seen::default();
    let mut body = Vec::new();
    let mut told = false;
    while Instant::now() < end {
        let began = Instant::now();
        match once(plan.port, &config, &request, &mut body) {
            Ok((status, bytes, kind)) => {
                seen.latencies.push(began.elapsed());
                seen.bytes += bytes;
                seen.error_statuses += u64::from(status >= 400);
                seen.resumed += u64::from(kind == Some(HandshakeKind::Resumed));
            }
            Err(error) => {
                if !told {
                    eprintln!("a connection failed: {error}");
                    told = true;
                }
                seen.failed += 1;
                // A server that refuses is not asked as fast as it goes.
                thread::sleep(Duration::from_millis(10));
            }
        }
    }
    seen
}

fn once(
    port: u16,
    config: &Arc<ClientConfig>,
    request: &str,
    body: &mut Vec<u8>,
) -> io::Result<(u16, u64, Option<HandshakeKind>)> {
    let socket = TcpStream::connect(("127.0.0.1", port))?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    let session = ClientConnection::new(Arc::clone(config), config::server_name())
        .map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(session, socket);
    stream.write_all(request.as_bytes())?;
    let mut reader = BufReader::new(&mut stream);
    let (status, bytes) = http1::read_response(&mut reader, body)?;
    // The end is told by close_notify: without it this is an error.
    if reader.read(&mut [0])? != 0 {
        return Err(io::Error::other("more came than the response"));
    }
    let kind = stream.conn.handshake_kind();
    stream.conn.send_close_notify();
    // The server may be gone by then.
    let _ = stream.flush();
    Ok((status, bytes, kind))
}
