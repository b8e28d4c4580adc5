//! A second wire, without bytes: the service alone holds the conversations about files and
//! guests. What it has here is what a wire needs: a request, a record, a response.

use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use innkeeper::guest::{DEFAULT_GUEST, LoadedGuest};
use innkeeper::http::status::reason;
use innkeeper::http::{Content, FieldLine, Method, Peer, Request, Scheme, Version};
use innkeeper::service::{Body, Service};

use crate::fixture::{Reply, Setup, engine};
use crate::wire::{Count, Wire, play_file};

/// Responds to a request of this version that no bytes were read for.
fn respond(service: &Service, version: Version, line: &str, fields: &[(String, String)]) -> Reply {
    let mut parts = line.split(' ');
    let (method, target) = (parts.next().unwrap(), parts.next().unwrap());
    let lines = fields.iter().map(|(name, value)| FieldLine { name, value: value.as_bytes() });
    let request = Request {
        line: line.as_bytes(),
        method: Method::from_name(method),
        scheme: Scheme::Http,
        authority: target.strip_prefix("http://").map(|rest| rest.split('/').next().unwrap()),
        target,
        version,
        fields: lines.collect(),
        peer: Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0),
        tls: None,
    };
    assert!(request.is_well_formed(), "{request:?}");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let response = runtime.block_on(async {
        let mut record = service.begin(&request);
        service.respond(&request, &mut record).await
    });
    let body = match &response.body {
        Body::Empty => Vec::new(),
        Body::Bytes(bytes) => bytes.clone(),
        Body::Content { content: Content::Memory(content), range } => range.of(content).to_vec(),
        Body::Content { content: Content::File(file), range } => {
            let mut content = vec![0; range.length.try_into().unwrap()];
            file.read_exact_at(&mut content, range.first).unwrap();
            content
        }
        Body::Parts { .. } => panic!("no conversation asks for several parts"),
    };
    let own =
        [("Date", "Sun, 06 Nov 1994 08:49:37 GMT".to_owned()), ("Server", "innkeeper".into())];
    let length = response.content_length().map(|length| ("Content-Length", length.to_string()));
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let fields = response.fields.iter().map(|field| (&*field.name, text(&field.value)));
    Reply {
        status_line: format!("HTTP/1.1 {} {}", response.status, reason(response.status)),
        fields: own.into_iter().chain(length).chain(fields).map(|(n, v)| (n.into(), v)).collect(),
        body: if request.method == Method::Head { Vec::new() } else { body },
    }
}

/// Requests that are read line by line, and responses that are not written.
struct WithoutWire {
    service: Arc<Service>,
    lines: Vec<String>,
}

impl Wire for WithoutWire {
    fn send(&mut self, bytes: &[u8]) {
        self.lines.push(String::from_utf8(bytes.to_vec()).unwrap().trim_end().to_owned());
    }

    fn reply(&mut self, _is_head: bool) -> Option<Reply> {
        let lines = std::mem::take(&mut self.lines);
        let end = lines.iter().position(String::is_empty).expect("the end of the head");
        let fields = lines[1..end].iter().map(|line| line.split_once(": ").expect("a field"));
        let fields: Vec<_> = fields.map(|(name, value)| (name.into(), value.into())).collect();
        Some(respond(&self.service, Version::Http2, &lines[0], &fields))
    }
}

#[test]
fn service_holds_the_conversations_about_files_and_guests() {
    let (_folder, wires) = Setup { workers: 1, ..Setup::default() }.wires();
    for file in ["wire/answers.txt", "wire/methods.txt"] {
        let service = &wires.service;
        let wire = || WithoutWire { service: Arc::clone(service), lines: Vec::new() };
        let Count { held, left_out } = play_file(file, wire);
        assert!(held >= 8 && left_out == 0, "{held} of {file}, {left_out} left out");
    }
}

#[test]
fn versions_share_decisions() {
    // Of this test alone, as its decisions are counted.
    let guest = Arc::new(LoadedGuest::load(engine(), DEFAULT_GUEST).unwrap());
    let (_folder, wires) = Setup { workers: 1, guest, ..Setup::default() }.wires();
    for version in [Version::Http11, Version::Http2, Version::Http3] {
        let reply = respond(&wires.service, version, "GET /hello.txt HTTP/1.1", &[]);
        assert_eq!(reply.body, b"hello\n");
    }
    let counts =
        wires.service.sites.first().unwrap().active.as_ref().unwrap().current().guest.counts();
    assert_eq!((counts.cache_misses, counts.cache_hits), (1, 2));
}
