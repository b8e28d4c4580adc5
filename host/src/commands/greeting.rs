//! What a server tells of itself at the start: what it serves, and where clients find it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::{interfaces, root};
use crate::cli::{Settings, SiteSettings};
use crate::diagnostics;
use crate::server::Address;
use crate::transport::ListenAddress;

/// Sites that are told of at the start, each in a line.
const SHOWN_SITES: usize = 20;

/// What is known before the sandbox, which hides interfaces and directories.
pub(super) struct Greeting {
    root: String,
    lacks_page: bool,
    /// The addresses of this machine, where all of them are listened on.
    of_machine: Vec<IpAddr>,
}

impl Greeting {
    /// Looks at the root, and at the machine if all of its addresses are listened on.
    pub(super) fn prepare(settings: &Settings, listeners: &[Address]) -> Greeting {
        let of_machine =
            if listeners.iter().any(is_for_all) { interfaces::addresses() } else { Vec::new() };
        let is_one = settings.sites.is_empty();
        let root = root::described(&settings.site);
        let lacks_page = is_one && root::lacks_page(&settings.site);
        let lacks_page = lacks_page && settings.sites.is_empty();
        Greeting { root, lacks_page, of_machine }
    }

    /// Prints it.
    pub(super) fn print(
        &self,
        settings: &Settings,
        broken: &[String],
        listeners: &[Address],
        paths: &[PathBuf],
    ) {
        if io::IsTerminal::is_terminal(&io::stderr()) {
            diagnostics::info("innkeeper", &[("version", &env!("CARGO_PKG_VERSION"))]);
        }
        match settings.sites.as_slice() {
            [] => diagnostics::info("serving", &[("root", &self.root)]),
            sites => print_sites(sites, broken),
        }
        for listener in listeners {
            diagnostics::info("listening on", &[("url", listener)]);
        }
        for path in paths {
            diagnostics::info("listening on", &[("url", &ListenAddress::Unix(path.clone()))]);
        }
        for url in listeners.iter().flat_map(|listener| self.reachable(listener)) {
            diagnostics::info("reachable at", &[("url", &url)]);
        }
        if self.lacks_page {
            let root = tracing::field::display(settings.site.root.display());
            tracing::warn!(root, "no index.html, / is 404; --listing would list directories");
        }
    }

    /// The URLs by which clients reach a listener on all addresses.
    fn reachable(&self, listener: &Address) -> Vec<Address> {
        if !is_for_all(listener) {
            return Vec::new();
        }
        let same_version = |address: &&IpAddr| address.is_ipv4() == listener.socket.is_ipv4();
        let at =
            |&ip: &IpAddr| Address { socket: (ip, listener.socket.port()).into(), ..*listener };
        self.of_machine.iter().filter(same_version).map(at).collect()
    }
}

/// What each of several sites serves, which are broken, and who has the requests for hosts of none.
fn print_sites(sites: &[SiteSettings], broken: &[String]) {
    let is_served = |site: &&SiteSettings| !broken.contains(&site.identity.name);
    for site in sites.iter().filter(is_served).take(SHOWN_SITES) {
        diagnostics::info("serving", &[("site", &site.identity), ("root", &site.root.display())]);
    }
    let (all, served) = (sites.len(), sites.len() - broken.len());
    if !broken.is_empty() || served > SHOWN_SITES {
        let broken = broken.join(", ");
        diagnostics::info("sites served", &[("served", &format_args!("{served} of {all}"))]);
        if !broken.is_empty() {
            diagnostics::info("not served", &[("sites", &broken)]);
        }
    }
    match sites.iter().find(|site| site.identity.is_default) {
        Some(site) => diagnostics::info("default site", &[("site", &site.identity.name)]),
        None => diagnostics::info("no default site, hosts of no site get", &[("status", &421)]),
    }
}

/// The URL that a browser on this machine opens.
pub(super) fn for_browser(listeners: &[Address]) -> Option<String> {
    let first = listeners.first()?;
    let (scheme, port) = (first.scheme.name(), first.socket.port());
    let is_local = is_for_all(first) || first.socket.ip() == Ipv4Addr::LOCALHOST;
    Some(if is_local { format!("{scheme}://localhost:{port}/") } else { format!("{first}/") })
}

fn is_for_all(listener: &Address) -> bool {
    listener.socket.ip().is_unspecified()
}
