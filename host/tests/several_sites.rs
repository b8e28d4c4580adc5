//! Several sites of one server: found by their hosts, replaced while they serve, counted and logged
//! apart, and a flood of one beside another.

use std::fs;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use innkeeper::files::{CacheSizes, Caches, Files, Options};
use innkeeper::guest::{DEFAULT_GUEST, DecisionLimits, Engine, GuestLimits, LoadedGuest};
use innkeeper::http::HostPattern;
use innkeeper::in_flight;
use innkeeper::line_writer::file::LineFile;
use innkeeper::log::{AccessLog, Format, LogFields};
use innkeeper::metrics::{Metrics, Process};
use innkeeper::release::active::FailurePolicy;
use innkeeper::release::{Active, Generation};
use innkeeper::service::Site;
use innkeeper::service::hosts::{Conflict, SiteHosts};
use innkeeper::service::site::Broken;

use crate::fixture::{Reply, Setup, TestServer, engine};
use crate::wat_guest::{module, replying};

/// A site of this guest, in a folder of its own whose start page says its name.
fn site(folder: &Path, name: &str, guest: Arc<LoadedGuest>) -> Site {
    let root = folder.join(name.replace('*', "_"));
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("index.html"), name).unwrap();
    let caches = Caches::new(NonZeroUsize::MIN, CacheSizes::default(), &in_flight::FILES);
    let files = Arc::new(Files::open(&root, Options::default(), &caches).unwrap());
    let active = Active::new(Generation { guest, files }, FailurePolicy::default());
    Site { name: Some(name.into()), ..Site::new(Arc::new(active)) }
}

fn plain(folder: &Path, name: &str) -> Site {
    let guest = LoadedGuest::load(engine(), DEFAULT_GUEST).unwrap();
    site(folder, name, Arc::new(guest))
}

fn hosts(texts: &[&str]) -> SiteHosts {
    let patterns = texts.iter().map(|text| HostPattern::parse(text).unwrap()).collect();
    SiteHosts { patterns, is_default: false }
}

fn start(sites: Vec<(SiteHosts, Arc<Site>)>) -> TestServer {
    Setup { sites, ..Setup::default() }.start()
}

/// Puts other sites in service.
fn replace(server: &TestServer, sites: &[(SiteHosts, Arc<Site>)]) -> Result<(), Conflict> {
    let all = &server.service.sites;
    all.replace(all.prepare(sites, all.outside(), None)?);
    Ok(())
}

fn get(server: &TestServer, host: &str, target: &str) -> Reply {
    let mut client = server.connect();
    client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
    client.reply()
}

#[test]
fn request_is_for_the_site_of_its_host() {
    let folder = tempfile::tempdir().unwrap();
    let of = |name: &str| Arc::new(plain(folder.path(), name));
    let (one, other) = (of("one"), of("other"));
    let server = start(vec![
        (hosts(&["one.example", "127.0.0.1"]), Arc::clone(&one)),
        (hosts(&["*.one.example"]), Arc::clone(&other)),
    ]);
    for (host, expected) in [
        ("one.example", Some("one")),
        ("ONE.example.:8080", Some("one")),
        ("127.0.0.1:1", Some("one")),
        ("www.one.example", Some("other")),
        ("a.www.one.example", None),
        ("one.example.evil", None),
    ] {
        let reply = get(&server, host, "/");
        match expected {
            Some(text) => assert_eq!((reply.status(), reply.text()), (200, text), "{host}"),
            None => assert_eq!(reply.status(), 421, "{host}"),
        }
    }
    let unknown = get(&server, "two.example", "/");
    assert_eq!(unknown.text(), "no site here has the host of the request\n");
    // The authority of the target counts.
    let absolute = get(&server, "two.example", "http://one.example/");
    assert_eq!((absolute.status(), absolute.text()), (200, "one"));
    // One connection may ask for several sites.
    let mut client = server.connect();
    for (host, text) in [("one.example", "one"), ("a.one.example", "other"), ("one.example", "one")]
    {
        client.send(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        assert_eq!(client.reply().text(), text);
    }
    // A default has the rest, also what names no host.
    let default = SiteHosts { is_default: true, ..hosts(&["other.example"]) };
    let sites = [(hosts(&["one.example"]), one), (default, other)];
    replace(&server, &sites).unwrap();
    assert_eq!(get(&server, "two.example", "/").text(), "other");
    let mut client = server.connect();
    client.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(client.reply().text(), "other");
}

#[test]
fn broken_site_is_503_and_others_serve() {
    let folder = tempfile::tempdir().unwrap();
    let broken = Site::broken(Broken { why: "its root is gone".to_owned() });
    let broken = Arc::new(Site { name: Some("broken".into()), ..broken });
    let server = start(vec![
        (hosts(&["broken.example"]), broken),
        (hosts(&["one.example"]), Arc::new(plain(folder.path(), "one"))),
    ]);
    let reply = get(&server, "broken.example", "/");
    assert_eq!((reply.status(), reply.text()), (503, "Service Unavailable\n"));
    assert_eq!(reply.field("retry-after"), Some("1"));
    assert_eq!(get(&server, "one.example", "/").text(), "one");
}

#[test]
fn sites_are_replaced_without_a_lost_request() {
    let folder = tempfile::tempdir().unwrap();
    let one = Arc::new(plain(folder.path(), "one"));
    let guest = Arc::new(LoadedGuest::load(engine(), &replying("new")).unwrap());
    let server = start(vec![(hosts(&["one.example"]), Arc::clone(&one))]);
    let is_over = AtomicBool::new(false);
    let served = AtomicUsize::new(0);
    thread::scope(|scope| {
        let asks = || {
            let mut client = server.connect();
            while !is_over.load(Ordering::Relaxed) {
                client.send("GET / HTTP/1.1\r\nHost: one.example\r\n\r\n");
                let reply = client.reply();
                assert!(["one", "new"].contains(&reply.text()), "{reply:?}");
                served.fetch_add(1, Ordering::Relaxed);
                // It has had as many as a connection may have.
                if reply.field("connection") == Some("close") {
                    client = server.connect();
                }
            }
        };
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(asks)).collect();
        for number in 0..100 {
            let new = Arc::new(site(folder.path(), "new", Arc::clone(&guest)));
            let first = if number % 2 == 0 { new } else { Arc::clone(&one) };
            let added = (hosts(&["added.example"]), Arc::clone(&one));
            let sites = [(hosts(&["one.example"]), first), added];
            replace(&server, &sites[..1 + number % 3 / 2]).unwrap();
            // Some requests are made between two changes, however slow the machine is.
            let before = served.load(Ordering::Relaxed);
            while served.load(Ordering::Relaxed) < before + 3
                && !clients.iter().any(thread::ScopedJoinHandle::is_finished)
            {
                thread::sleep(Duration::from_millis(1));
            }
        }
        is_over.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().unwrap());
    });
    // What contradicts itself changes nothing.
    let twice = [(hosts(&["a.example"]), Arc::clone(&one)), (hosts(&["A.example"]), one)];
    assert!(replace(&server, &twice).is_err());
    assert_eq!(get(&server, "one.example", "/").status(), 200);
}

#[test]
fn sites_are_logged_and_counted_apart() {
    let folder = tempfile::tempdir().unwrap();
    let log = |name: &str, format| {
        let file = LineFile::open(&folder.path().join(name)).unwrap();
        Some(Arc::new(AccessLog::to(file, format).unwrap()))
    };
    let shared = log("shared.log", Format::VhostCombined);
    let own = log("own.log", Format::Json(LogFields::ALL));
    let metrics = Arc::new(Metrics::new(2, Process::open()));
    let one = Site { log: shared.clone(), ..plain(folder.path(), "one") };
    let two = Site { log: shared, ..plain(folder.path(), "two") };
    let three = Site { log: own, ..plain(folder.path(), "three") };
    let sites = vec![
        (hosts(&["one.example", "www.one.example"]), Arc::new(one)),
        (hosts(&["two.example"]), Arc::new(two)),
        (hosts(&["three.example"]), Arc::new(three)),
    ];
    let server = Setup { sites, metrics: Some(Arc::clone(&metrics)), ..Setup::default() }.start();
    for host in ["www.one.example", "two.example:81", "three.example", "four.example"] {
        get(&server, host, "/");
    }
    let logs = server.service.logs();
    assert_eq!(logs.len(), 2);
    let service = Arc::clone(&server.service);
    server.stop(Duration::from_secs(5));
    service.logs().iter().for_each(|log| log.finish());
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let shared = read("shared.log");
    let mut columns: Vec<_> = shared.lines().map(|line| line.split(' ').next().unwrap()).collect();
    columns.sort_unstable();
    assert_eq!(columns, ["one:80", "two:80"], "{shared}");
    let own: serde_json::Value = serde_json::from_str(&read("own.log")).unwrap();
    assert_eq!((&own["site"], &own["host"]), (&"three".into(), &"three.example".into()));
    for site in ["one", "two", "three"] {
        assert_eq!(metrics.responses_of(site), Some(1), "{site}");
        assert_eq!(metrics.traffic_of(site).unwrap().paths, [("/".to_owned(), 1)]);
    }
    // With the one that was for none.
    assert_eq!(metrics.responses(), 4);
}

#[test]
fn flood_of_slow_decisions_delays_no_other_site() {
    let folder = tempfile::tempdir().unwrap();
    // One worker, and one thread for slow decisions; each takes all of its tenth of a second.
    let engine = Arc::new(Engine::new(GuestLimits::default(), 1).unwrap());
    let slow = module("", "(loop $again (br $again))");
    let load = || Arc::new(LoadedGuest::load(&engine, &slow).unwrap());
    let of = |name: &str| Arc::new(site(folder.path(), name, load()));
    let sites = vec![
        (hosts(&["flooded.example"]), of("flooded")),
        (hosts(&["other.example"]), of("other")),
    ];
    let server = Setup { sites, workers: 1, ..Setup::default() }.start();
    let mut flood: Vec<_> = (0..150).map(|_| server.connect()).collect();
    for (number, client) in flood.iter_mut().enumerate() {
        client.send(format!("GET /x{number} HTTP/1.1\r\nHost: flooded.example\r\n\r\n"));
    }
    // All of them come from one address, and those of the other site too.
    for number in 0..4 {
        let reply = get(&server, "other.example", &format!("/x{number}"));
        // It was decided, as far as this guest does: what waits for a second gets 503, and the flood
        // would take fifteen.
        assert_eq!(reply.status(), 500);
    }
    let statuses: Vec<_> = flood.iter_mut().map(|client| client.reply().status()).collect();
    assert!(statuses.contains(&503), "{statuses:?}");
}

#[test]
fn flood_of_unique_urls_leaves_other_sites_their_decisions() {
    let folder = tempfile::tempdir().unwrap();
    let limits = GuestLimits { decision_cache_bytes: 64 << 10, ..GuestLimits::default() };
    let engine = Arc::new(Engine::new(limits, 1).unwrap());
    let load = || Arc::new(LoadedGuest::load(&engine, DEFAULT_GUEST).unwrap());
    let guests = [load(), load()];
    let of = |name: &str, guest: &Arc<LoadedGuest>| {
        Arc::new(site(folder.path(), name, Arc::clone(guest)))
    };
    let sites = vec![
        (hosts(&["flooded.example"]), of("flooded", &guests[0])),
        (hosts(&["other.example"]), of("other", &guests[1])),
    ];
    let server = Setup { sites, workers: 1, ..Setup::default() }.start();
    let mut client = server.connect();
    let mut ask = |host: &str, target: &str| {
        client.send(format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n"));
        client.reply();
    };
    let all = |ask: &mut dyn FnMut(&str, &str)| {
        (0..20).for_each(|number| ask("other.example", &format!("/{number}")));
    };
    all(&mut ask);
    (0..2_000).for_each(|number| ask("flooded.example", &format!("/{number}")));
    let before = guests[1].counts().cache_hits;
    all(&mut ask);
    assert_eq!(guests[1].counts().cache_hits - before, 20);
}

#[test]
fn sites_of_one_guest_have_limits_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let loops = module("", "(loop $again (br $again))");
    let load = |millis| {
        let deadline = Duration::from_millis(millis);
        let guest = LoadedGuest::load(engine(), &loops).unwrap();
        Arc::new(guest.with_limits(DecisionLimits { deadline, ..DecisionLimits::default() }))
    };
    let of = |name: &str, millis| Arc::new(site(folder.path(), name, load(millis)));
    let server = start(vec![
        (hosts(&["short.example"]), of("short", 20)),
        (hosts(&["long.example"]), of("long", 500)),
    ]);
    let time = |host: &str| {
        let began = Instant::now();
        assert_eq!(get(&server, host, "/x").status(), 500, "{host}");
        began.elapsed()
    };
    assert!(time("long.example") >= Duration::from_millis(500));
    assert!(time("short.example") < Duration::from_millis(500));
}
