//! What a server tells of itself at the start: what it serves, and where clients find it.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use super::{interfaces, root};
use crate::cli::Settings;
use crate::diagnostics;
use crate::server::Address;
use crate::transport::ListenAddress;

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
        let (root, lacks_page) =
            (root::described(&settings.site), root::lacks_page(&settings.site));
        let lacks_page = lacks_page && settings.sites.is_empty();
        Greeting { root, lacks_page, of_machine }
    }

    /// Prints it.
    pub(super) fn print(&self, settings: &Settings, listeners: &[Address], paths: &[PathBuf]) {
        if io::IsTerminal::is_terminal(&io::stderr()) {
            diagnostics::info("innkeeper", &[("version", &env!("CARGO_PKG_VERSION"))]);
        }
        match settings.sites.len() {
            0 => diagnostics::info("serving", &[("root", &self.root)]),
            sites => diagnostics::info("serving", &[("sites", &sites)]),
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
