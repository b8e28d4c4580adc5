//! Sessions with a client in the same process.

use std::io::{Read, Write};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection,
    SupportedProtocolVersion, version,
};

use super::{HELD_BYTES, SEALED_BYTES, Session};

const VERSIONS: [&SupportedProtocolVersion; 2] = [&version::TLS12, &version::TLS13];

/// A session whose handshake is complete, and its client. Tickets were sent.
fn pair(version: &'static SupportedProtocolVersion) -> (Session, ClientConnection) {
    let provider = || Arc::new(aws_lc_rs::default_provider());
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    let certificate = made.cert.der().clone();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()));
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).expect("an authority");
    let config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .expect("a pair");
    let client = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[version])
        .expect("versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = "localhost".try_into().expect("a name");
    let mut client = ClientConnection::new(Arc::new(client), name).expect("a client");
    let mut server = ServerConnection::new(Arc::new(config)).expect("a server");
    while client.is_handshaking() || server.is_handshaking() || client.wants_write() {
        let mut bytes = Vec::new();
        while client.write_tls(&mut bytes).expect("written") > 0 {}
        let mut read = &bytes[..];
        while !read.is_empty() {
            server.read_tls(&mut read).expect("read");
            server.process_new_packets().expect("TLS");
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).expect("written");
        }
        receive(&mut client, &bytes);
    }
    (Session::new(server), client)
}

/// The content that a client finds in these records.
fn receive(client: &mut ClientConnection, mut records: &[u8]) -> Vec<u8> {
    let mut content = Vec::new();
    while !records.is_empty() {
        client.read_tls(&mut records).expect("read");
        client.process_new_packets().expect("TLS");
        let _ = client.reader().read_to_end(&mut content);
    }
    content
}

/// The records of what a client says.
fn say(client: &mut ClientConnection, content: &[u8]) -> Vec<u8> {
    let mut records = Vec::new();
    client.set_buffer_limit(None);
    client.writer().write_all(content).expect("content");
    while client.wants_write() {
        client.write_tls(&mut records).expect("written");
    }
    records
}

fn drain(session: &mut Session) -> Vec<u8> {
    let mut records = Vec::new();
    while session.has_records() {
        session.write_records(&mut records).expect("written");
    }
    records
}

fn numbers(count: u32) -> Vec<u8> {
    (0..count).flat_map(u32::to_le_bytes).collect()
}

#[test]
fn content_is_the_same_at_any_split_of_its_records() {
    let content = numbers(10_000);
    for version in VERSIONS {
        for piece in [1, 5, 6, 100, 4095, 4096, 4097, 16_406, 100_000] {
            let (mut session, mut client) = pair(version);
            let mut records = say(&mut client, &content);
            client.send_close_notify();
            client.write_tls(&mut records).expect("written");
            let mut came = Vec::new();
            for (number, piece) in records.chunks(piece).enumerate() {
                assert!(!session.has_ended(), "at piece {number}");
                session.open(piece, &mut came);
                assert!(!session.has_failed());
            }
            assert!(session.has_ended());
            assert_eq!(came, content, "in pieces of {piece}");
        }
    }
}

#[test]
fn what_follows_the_end_of_a_client_is_not_read() {
    let (mut session, mut client) = pair(&version::TLS13);
    client.send_close_notify();
    let mut records = say(&mut client, b"");
    records.extend_from_slice(b"GET / HTTP/1.1");
    let mut content = Vec::new();
    session.open(&records, &mut content);
    session.open(b"more", &mut content);
    assert_eq!((content, session.has_ended(), session.has_failed()), (vec![], true, false));
}

#[test]
fn content_before_a_broken_record_is_there_and_an_alert_is_sent() {
    for version in VERSIONS {
        let (mut session, mut client) = pair(version);
        let mut records = say(&mut client, b"whole");
        let mut broken = say(&mut client, b"broken");
        *broken.last_mut().expect("bytes") ^= 1;
        records.append(&mut broken);
        let mut content = Vec::new();
        session.open(&records, &mut content);
        assert_eq!((&content[..], session.has_failed()), (&b"whole"[..], true));
        let alert = drain(&mut session);
        let mut read = &alert[..];
        client.read_tls(&mut read).expect("read");
        let error = client.process_new_packets().expect_err("an alert");
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
        assert!(session.seal(b"late", b"", SEALED_BYTES).is_err());
    }
}

#[test]
fn bytes_that_are_no_records_fail() {
    for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0; 40_000], &[23, 3, 3, 0xff, 0xff, 0]] {
        let (mut session, _) = pair(&version::TLS13);
        session.open(garbage, &mut Vec::new());
        assert!(session.has_failed());
    }
}

#[test]
fn what_is_held_back_shares_a_record_with_what_follows() {
    for version in VERSIONS {
        let (mut session, mut client) = pair(version);
        assert!(session.hold(b"head"));
        assert!(session.is_unsent() && !session.has_records());
        assert!(!session.hold(&[0; HELD_BYTES]));
        assert_eq!(session.seal(b" and ", b"body", SEALED_BYTES).expect("sealed"), 9);
        let records = drain(&mut session);
        assert_eq!(records.len(), 5 + usize::from(records[3]) * 256 + usize::from(records[4]));
        assert_eq!(receive(&mut client, &records), b"head and body");
        assert!(!session.is_unsent());
        session.note_sent(1000);
        assert_eq!((session.handed(), session.taken()), (13, 0));
        session.acknowledge(1000);
        assert_eq!(session.taken(), 13);
    }
}

#[test]
fn large_content_is_sealed_piece_by_piece() {
    let content = numbers(100_000);
    let (mut session, mut client) = pair(&version::TLS13);
    assert!(session.hold(&content[..100]));
    let (mut sent, mut came, mut wire) = (100, Vec::new(), 0);
    while sent < content.len() {
        let (first, second) = content[sent..].split_at((content.len() - sent) / 2);
        let sealed = session.seal(first, second, SEALED_BYTES).expect("sealed");
        assert!(sealed > 0 && sealed <= SEALED_BYTES, "{sealed}");
        sent += sealed;
        let records = drain(&mut session);
        wire += records.len() as u64;
        session.note_sent(wire);
        came.extend(receive(&mut client, &records));
    }
    assert!(came == content);
    session.acknowledge(wire);
    assert_eq!((session.handed(), session.taken()), (400_000, 400_000));
}

#[test]
fn keys_are_updated_and_a_flood_of_updates_ends() {
    let (mut session, mut client) = pair(&version::TLS13);
    let mut content = Vec::new();
    for _ in 0..3 {
        client.refresh_traffic_keys().expect("asked");
        let records = say(&mut client, b"x");
        session.open(&records, &mut content);
        session.seal(b"y", b"", SEALED_BYTES).expect("sealed");
        let records = drain(&mut session);
        assert_eq!(receive(&mut client, &records), b"y");
    }
    assert_eq!(content, b"xxx");
    let mut updates = Vec::new();
    for _ in 0..100 {
        client.refresh_traffic_keys().expect("asked");
        while client.wants_write() {
            client.write_tls(&mut updates).expect("written");
        }
    }
    session.open(&updates, &mut content);
    assert!(session.has_failed());
}

#[test]
fn end_is_said_behind_all_that_was_sent() {
    let (mut session, mut client) = pair(&version::TLS13);
    session.seal(b"last", b"", SEALED_BYTES).expect("sealed");
    session.close();
    let records = drain(&mut session);
    let mut read = &records[..];
    client.read_tls(&mut read).expect("read");
    assert!(client.process_new_packets().expect("TLS").peer_has_closed());
    let mut content = Vec::new();
    client.reader().read_to_end(&mut content).expect("an end, and no truncation");
    assert_eq!(content, b"last");
}
