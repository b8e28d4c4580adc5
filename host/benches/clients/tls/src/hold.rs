//! Connections that requested once and then stay: what an idle one costs a server.
//!
//! Prints `HELD n` when all are open. For each line that it reads it prints how many still are;
//! it ends with its input.

use std::io::{self, BufRead};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::config::{self, Wire};

/// Connections that are open now.
static OPEN: AtomicU32 = AtomicU32::new(0);

pub fn run(port: u16, path: &str, connections: u32, wire: Wire) -> io::Result<()> {
    let connector = TlsConnector::from(Arc::new(config::client(wire, config::X25519)?));
    let (ended, end) = oneshot::channel();
    let (ready, is_ready) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        if is_ready.recv().is_ok() {
            println!("HELD {}", OPEN.load(Ordering::Relaxed));
            for _ in io::stdin().lock().lines().map_while(Result::ok) {
                println!("HELD {}", OPEN.load(Ordering::Relaxed));
            }
        }
        let _ = ended.send(());
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        for _ in 0..connections {
            let socket = TcpStream::connect(("127.0.0.1", port)).await?;
            let stream = connector.connect(config::server_name(), socket).await?;
            match wire {
                Wire::Http1 => hold_http1(stream, port, path).await?,
                Wire::Http2 => hold_http2(stream, port, path).await?,
            }
        }
        let _ = ready.send(());
        let _ = end.await;
        Ok(())
    })
}

async fn hold_http1(mut stream: TlsStream<TcpStream>, port: u16, path: &str) -> io::Result<()> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut got = Vec::new();
    while whole_length(&got).is_none_or(|whole| got.len() < whole) {
        if stream.read_buf(&mut got).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    OPEN.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        // Nothing more comes but the end.
        let _ = stream.read(&mut [0]).await;
        OPEN.fetch_sub(1, Ordering::Relaxed);
    });
    Ok(())
}

/// The bytes of the whole response, once its head is there.
fn whole_length(got: &[u8]) -> Option<usize> {
    let head = got.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&got[..head]).to_ascii_lowercase();
    let (_, rest) = text.split_once("content-length:")?;
    Some(head + rest.lines().next()?.trim().parse::<usize>().ok()?)
}

async fn hold_http2(stream: TlsStream<TcpStream>, port: u16, path: &str) -> io::Result<()> {
    let (mut requests, connection) =
        h2::client::handshake(stream).await.map_err(io::Error::other)?;
    OPEN.fetch_add(1, Ordering::Relaxed);
    tokio::spawn(async move {
        let _ = connection.await;
        OPEN.fetch_sub(1, Ordering::Relaxed);
    });
    let request = http::Request::get(format!("https://localhost:{port}{path}"))
        .body(())
        .map_err(io::Error::other)?;
    let (response, _) = requests.send_request(request, true).map_err(io::Error::other)?;
    let mut body = response.await.map_err(io::Error::other)?.into_body();
    while let Some(data) = body.data().await {
        let length = data.map_err(io::Error::other)?.len();
        let _ = body.flow_control().release_capacity(length);
    }
    // The connection closes with its last handle.
    std::mem::forget(requests);
    Ok(())
}
