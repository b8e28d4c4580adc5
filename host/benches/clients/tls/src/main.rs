//! Clients over TLS that no load generator has. Each prints one line, `RESULT` and JSON.
//!
//!     tls-client handshakes PORT PATH CONNECTIONS SECONDS full|resumed GROUP
//!     tls-client paced PORT PATH RATE CONNECTIONS SECONDS h1|h2 [DOWNLOAD_PATH DOWNLOADS]
//!     tls-client hold PORT PATH CONNECTIONS h1|h2
//!
//! All speak TLS 1.3 with AES-256-GCM to 127.0.0.1, and believe any certificate.

mod config;
mod handshakes;
mod hold;
mod http1;
mod paced;
mod result;

use std::process::ExitCode;

use config::Wire;

const USAGE: &str = "usage: tls-client handshakes PORT PATH CONNECTIONS SECONDS full|resumed GROUP
       tls-client paced PORT PATH RATE CONNECTIONS SECONDS h1|h2 [DOWNLOAD_PATH DOWNLOADS]
       tls-client hold PORT PATH CONNECTIONS h1|h2";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("tls-client: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Runs one of the clients. `None` if the arguments name none.
fn run(arguments: &[&str]) -> Option<std::io::Result<()>> {
    match *arguments {
        ["handshakes", port, path, connections, seconds, kind, group] => {
            let resumed = match kind {
                "full" => false,
                "resumed" => true,
                _ => return None,
            };
            Some(handshakes::run(&handshakes::Plan {
                port: port.parse().ok()?,
                path: path.to_owned(),
                threads: connections.parse().ok()?,
                seconds: seconds.parse().ok()?,
                resumed,
                group: group.to_owned(),
            }))
        }
        ["paced", port, path, rate, connections, seconds, wire, ref rest @ ..] => {
            let downloads = match *rest {
                [] => None,
                [path, count] => Some((path.to_owned(), count.parse().ok()?)),
                _ => return None,
            };
            Some(paced::run(paced::Plan {
                port: port.parse().ok()?,
                path: path.to_owned(),
                rate: rate.parse().ok()?,
                connections: connections.parse().ok()?,
                seconds: seconds.parse().ok()?,
                wire: Wire::named(wire)?,
                downloads,
            }))
        }
        ["hold", port, path, connections, wire] => {
            Some(hold::run(port.parse().ok()?, path, connections.parse().ok()?, Wire::named(wire)?))
        }
        _ => None,
    }
}
