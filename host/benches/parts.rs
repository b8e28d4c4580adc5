//! The parts of a request's way that are computing and nothing else:
//! `cargo bench --bench parts`.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use divan::{Bencher, black_box};
use innkeeper::guest::{DEFAULT_GUEST, Engine, Facts, GuestLimits, LoadedGuest};
use innkeeper::http::{Field, Peer, Response};
use innkeeper::http1::Limits;
use innkeeper::http1::head::Head;
use innkeeper::http1::response_head::{self, Persistence};
use innkeeper::http1::scan::Scanner;

/// What Firefox sends.
const HEAD: &[u8] = b"GET /notes/index.html?v=1 HTTP/1.1\r\n\
    Host: 127.0.0.1:7890\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Connection: keep-alive\r\n\
    Upgrade-Insecure-Requests: 1\r\n\
    Sec-Fetch-Dest: document\r\n\
    Sec-Fetch-Mode: navigate\r\n\
    Sec-Fetch-Site: none\r\n\
    Sec-Fetch-User: ?1\r\n\
    Priority: u=0, i\r\n\r\n";
const LINE: &[u8] = b"GET /notes/index.html?v=1 HTTP/1.1";
/// Where all heads come from.
const PEER: Peer = Peer::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

const FACTS: Facts<'static> = Facts::plain(IpAddr::V4(Ipv4Addr::LOCALHOST));

fn main() {
    divan::main();
}

#[divan::bench]
fn find_the_end_of_a_head() {
    let extent = Scanner::default().scan(black_box(HEAD), &Limits::default());
    black_box(extent.expect("a head"));
}

#[divan::bench]
fn parse_a_head() {
    let head = Head::parse(black_box(HEAD), &Limits::default(), PEER, None);
    black_box(head.expect("a head"));
}

#[divan::bench]
fn decide_natively() {
    black_box(innkeeper_guest::decide::decide(black_box(LINE)));
}

fn default_guest() -> Arc<LoadedGuest> {
    let engine = Engine::new(GuestLimits::default(), 1).expect("an engine");
    Arc::new(LoadedGuest::load(&Arc::new(engine), DEFAULT_GUEST).expect("the default guest"))
}

#[divan::bench]
fn decide_by_memory(bencher: Bencher) {
    let guest = default_guest();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a runtime");
    // Many at a time: entering the runtime costs more than what is measured.
    bencher.counter(divan::counter::ItemsCount::new(1_000_u32)).bench_local(|| {
        runtime.block_on(async {
            for _ in 0..1_000 {
                let decision = guest.decide(0, black_box(LINE), [].into_iter(), FACTS).await;
                black_box(decision.decision.expect("a decision"));
            }
        });
    });
}

#[divan::bench]
fn decide_on_a_fresh_instance(bencher: Bencher) {
    let guest = default_guest();
    bencher.bench_local(|| {
        black_box(
            guest.decide_uncached(black_box(LINE), [].into_iter(), FACTS).expect("a decision"),
        );
    });
}

#[divan::bench]
fn write_the_head_of_a_response(bencher: Bencher) {
    let response = Response::plain(200)
        .with(Field::fixed("Vary", "Accept-Encoding"))
        .with(Field::new("ETag", "\"1a2b-155c-18d1f0a3c5b2e400-18d1f0a3c5b2e400\""))
        .with(Field::fixed("Last-Modified", "Sat, 21 Nov 2026 09:30:00 GMT"))
        .with(Field::fixed("Accept-Ranges", "bytes"));
    bencher.bench_local(|| {
        let mut out = Vec::with_capacity(512);
        response_head::write(black_box(&response), Persistence::KeepAlive, &mut out);
        out
    });
}
