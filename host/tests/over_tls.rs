//! TLS where it differs from TCP: handshakes, the end of a connection, and which bytes are TLS at
//! all.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use rustls::crypto::aws_lc_rs;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::authority::Authority;
use crate::fixture::Stream;

/// The client of these tests is tried on a server that is not innkeeper: it trusts its authority
/// alone, and an end without `close_notify` is no end.
#[test]
fn client_notices_a_foreign_certificate_and_a_truncated_end() {
    let authority = Authority::new();
    let (chain, key) = authority.leaf(&["localhost"]).der();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider);
    let config = config.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let config = Arc::new(config.with_single_cert(chain, key).unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        for says_goodbye in [true, false, true] {
            let (socket, _) = listener.accept().unwrap();
            let session = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(session, socket);
            let mut request = [0; 5];
            if stream.read_exact(&mut request).is_err() {
                continue;
            }
            stream.write_all(b"world").unwrap();
            if says_goodbye {
                stream.conn.send_close_notify();
            }
            stream.flush().unwrap();
        }
    });
    let ask = |authority: &Authority| {
        let config = authority.client_config(&["http/1.1"]);
        let mut client = Stream::tls(address, &config, "localhost");
        let mut came = Vec::new();
        let end = client.write_all(b"hello").and_then(|()| client.read_to_end(&mut came));
        (came, end.map_err(|error| error.kind()))
    };
    assert_eq!(ask(&authority), (b"world".to_vec(), Ok(5)));
    assert_eq!(ask(&authority), (b"world".to_vec(), Err(ErrorKind::UnexpectedEof)));
    assert_eq!(ask(&Authority::new()), (Vec::new(), Err(ErrorKind::InvalidData)));
    server.join().unwrap();
}
