//! Flags that other servers have, and what is written here instead.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::values::address;

/// The port of the default address.
const PORT: u16 = 7890;

/// How like a flag has to be for "did you mean".
const LIKE: f64 = 0.9;

/// Flags of `serve`, http-server, miniserve, Caddy, Python's http.server and others, and what is
/// written instead.
const FLAGS: [(&[&str], &str); 12] = [
    (&["--root", "--dir", "--directory", "--docroot", "-d", "-r"], "innkeeper path/to/site"),
    (&["--browse", "--autoindex", "--list", "--index-of"], "--listing"),
    (&["--https", "--tls", "--ssl", "-S"], "--self-signed, or --tls-certificate and --tls-key"),
    (&["--cert", "--certificate", "-C"], "--tls-certificate FILE"),
    (&["--key", "-K"], "--tls-key FILE"),
    (&["-c"], "--config FILE"),
    (&["-P"], "--port PORT"),
    (&["-l"], "--listen ADDRESS:PORT"),
    (&["--single", "--fallback", "-s"], "--spa"),
    (&["--auth", "--user"], "--basic-auth FILE, made by `innkeeper password NAME`"),
    (&["--silent", "--quiet", "-q"], "--access-log off"),
    (&["--gzip", "--brotli", "-g"], "nothing: responses are compressed, unless --no-compress"),
];

/// Those that name an address, or a part of it.
const ADDRESSES: [&str; 8] =
    ["--host", "--hostname", "--addr", "--address", "--bind", "--interface", "-a", "-b"];

/// What to write where clap does not know a flag, and what it finds alike is not.
pub(super) fn explain(typed: &[OsString], error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(flag)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let flag = flag.as_str();
    if ADDRESSES.contains(&flag) {
        let value = behind(typed, &[flag]);
        return Some(format!(
            "there is no flag {flag}; write: {}",
            listen(typed, value.as_deref())
        ));
    }
    if let Some((_, instead)) = FLAGS.iter().find(|(flags, _)| flags.contains(&flag)) {
        return Some(format!("there is no flag {flag}; write: {instead}"));
    }
    let is_like = match error.get(ContextKind::SuggestedArg) {
        Some(ContextValue::String(other)) => strsim::jaro_winkler(other, flag) >= LIKE,
        _ => false,
    };
    (!is_like).then(|| format!("there is no flag {flag}; innkeeper --help lists all"))
}

/// The value of one of these flags, as it was typed: the word behind it, or what follows a `=`.
fn behind(typed: &[OsString], flags: &[&str]) -> Option<String> {
    let mut words = typed.iter().filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        if flags.contains(&word) {
            return words.next().map(str::to_owned);
        }
        if let Some((_, value)) = word.split_once('=').filter(|(flag, _)| flags.contains(flag)) {
            return Some(value.to_owned());
        }
    }
    None
}

/// The flag for an address, whose port may have been typed apart.
fn listen(typed: &[OsString], value: Option<&str>) -> String {
    let port = behind(typed, &["--port", "-p"]).and_then(|port| port.parse().ok()).unwrap_or(PORT);
    let Some(value) = value else { return format!("--listen ADDRESS:{port}") };
    if let Ok(ip) = value.trim_matches(['[', ']']).parse::<IpAddr>() {
        return format!("--listen {}", SocketAddr::from((ip, port)));
    }
    match value {
        "localhost" => format!("--listen localhost:{port}"),
        _ if value.contains(':') && address(value).is_ok() => format!("--listen {value}"),
        _ => format!("--listen ADDRESS:{port}"),
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use clap::CommandFactory;

    use super::explain;
    use crate::cli::Arguments;

    #[test]
    fn flags_of_other_servers_have_what_is_written_here() {
        for (typed, expected) in [
            ("--host 0.0.0.0 site", "there is no flag --host; write: --listen 0.0.0.0:7890"),
            ("site -p 80 --bind=::1", "there is no flag --bind; write: --listen [::1]:80"),
            ("-a localhost:1", "there is no flag -a; write: --listen localhost:1"),
            ("--addr :8080", "there is no flag --addr; write: --listen :8080"),
            ("--root site", "there is no flag --root; write: innkeeper path/to/site"),
            ("--browse", "there is no flag --browse; write: --listing"),
            ("-P 80", "there is no flag -P; write: --port PORT"),
            ("--frobnicate", "there is no flag --frobnicate; innkeeper --help lists all"),
        ] {
            let typed: Vec<OsString> =
                "innkeeper".split(' ').chain(typed.split(' ')).map(Into::into).collect();
            let error = Arguments::command().try_get_matches_from(&typed).expect_err("an error");
            assert_eq!(explain(&typed, &error).as_deref(), Some(expected), "{typed:?}");
        }
        let typed = ["innkeeper", "--listng"].map(OsString::from);
        let error = Arguments::command().try_get_matches_from(&typed).expect_err("an error");
        assert_eq!(explain(&typed, &error), None);
    }
}
