//! What the settings of a server mean for its certificates: sites that come and go, checks, and
//! trials.

use std::fs;
use std::process::Command;

use rustix::process::Signal;

use super::{Place, heard, tls_page, until_told};
use crate::running::{self, Program, told};

/// The configuration of a server with sites of these hosts.
fn configuration(place: &Place, hosts: &[&str]) -> String {
    let path = |name: &str| place.folder.path().join(name).display().to_string();
    let mut config = format!(
        "listen = [\"127.0.0.1:0\"]\nlisten-tls = [\"127.0.0.1:0\"]\nadmin.listen = \"127.0.0.1:0\"\n\
         [acme]\naccept-terms = true\nchallenge = [\"http-01\"]\ndirectory = \"{}/dir\"\n\
         ca-file = {:?}\nstate = {:?}\n",
        place.fake.url,
        place.fake.ca_file(),
        place.state(),
    );
    for host in hosts {
        config += &format!("[[site]]\nhosts = [{host:?}]\nroot = {:?}\n", path("root"));
    }
    config
}

fn with_sites(place: &Place, hosts: &[&str]) -> Command {
    let file = place.folder.path().join("innkeeper.toml");
    fs::write(&file, configuration(place, hosts)).unwrap();
    let mut command = Command::new(running::PROGRAM);
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).arg("--config").arg(file);
    command
}

#[test]
fn names_of_sites_come_and_go_with_a_reload() {
    let place = Place::new();
    // The first has no host that can be ordered.
    let mut program = Program::start(with_sites(&place, &["*.a.example"]), 2);
    place.fake.state.lock().unwrap().servers = vec![program.addresses[0]];
    let admin = program.admin();
    assert!(told(admin, "/status").contains("\"acme\""));
    let reload = |program: &mut Program, hosts: &[&str]| {
        with_sites(&place, hosts);
        program.signal(Signal::HUP);
        program.wait_for("configuration reloaded");
    };
    reload(&mut program, &["a.example", "b.example"]);
    for _ in 0..2 {
        heard(&mut program, "certificate that was awaited serves");
    }
    assert_eq!(tls_page(program.addresses[1]), "a page");
    until_told(admin, "/metrics", "innkeeper_acme_failures{name=\"b.example\"} 0");
    reload(&mut program, &["a.example"]);
    let metrics = told(admin, "/metrics");
    assert!(metrics.contains("innkeeper_acme_failures{name=\"a.example\"}"), "{metrics}");
    assert!(!metrics.contains("innkeeper_acme_failures{name=\"b.example\"}"), "{metrics}");
    assert_eq!(place.fake.asked("/new-order"), 2);
}
