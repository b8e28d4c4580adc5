//! Why a certificate was not obtained, in the authority's words, and what to do about it.

use std::fmt::Write as _;
use std::io;
use std::time::SystemTime;

use instant_acme::{Error, Problem};

use super::protocol::OrderError;

/// What the types of problems of an authority begin with (RFC 8555, section 6.7).
const URN: &str = "urn:ietf:params:acme:error:";

/// The code of a response that leads elsewhere.
const REDIRECT: &str = "redirect";

/// The code of a response without a problem in it, by its status.
pub(super) fn code_of(status: http::StatusCode) -> &'static str {
    match status.as_u16() {
        300..=399 => REDIRECT,
        429 => "rateLimited",
        500.. => "serverInternal",
        _ => "refused",
    }
}

/// Why an order failed.
#[derive(Debug)]
pub(super) struct Failure {
    /// For people.
    pub(super) error: OrderError,
    /// No attempt before this time, if the authority says so.
    pub(super) not_before: Option<SystemTime>,
    /// Whether the order is of no use any more.
    pub(super) is_final: bool,
}

impl Failure {
    /// Of something else than the authority.
    pub(super) fn local(code: &str, detail: impl ToString, advice: &str) -> Failure {
        // The authority's own texts, too.
        let (code, detail, advice) = (code.to_owned(), detail.to_string(), advice.to_owned());
        let error = OrderError { code, detail, advice }.bounded();
        Failure { error, not_before: None, is_final: false }
    }

    /// Of the folder of the state.
    pub(super) fn state(error: &io::Error) -> Failure {
        Failure::state_of(&error.to_string(), error)
    }

    /// The same, where more is known than the error.
    pub(super) fn state_of(what: &str, error: &io::Error) -> Failure {
        let advice = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "make room on the disk of --acme-state; SIGHUP has it tried again at once"
            }
            _ => {
                "let the server's user write to the directory of --acme-state; SIGHUP has it tried \
                 again at once"
            }
        };
        Failure::local("state", format!("the state cannot be kept: {what}"), advice)
    }

    /// Of an authority.
    pub(super) fn problem(problem: &Problem) -> Failure {
        let code = problem.r#type.as_deref().unwrap_or("unknown");
        let code = code.strip_prefix(URN).unwrap_or(code);
        let mut detail = problem.detail.clone().unwrap_or_else(|| format!("it says {code}"));
        for part in &problem.subproblems {
            let part = part.detail.as_deref().unwrap_or_default();
            // A text takes all of it.
            let _ = write!(detail, "; {part}");
        }
        let mut failure = Failure::local(code, detail, advice(code));
        failure.is_final = matches!(
            code,
            "malformed" | "unauthorized" | "orderNotReady" | "accountDoesNotExist" | "badCSR"
        );
        failure
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match &error {
            Error::Api(problem) => Failure::problem(problem),
            Error::Json(error) => Failure::local(
                "garbled",
                format!("the authority's response makes no sense: {error}"),
                "see whether --acme-directory is the URL of an ACME directory",
            ),
            Error::Timeout(_) => Failure::local(
                "slow",
                "the authority has not finished within the time that it has",
                "the order goes on at the next attempt; see the authority's status page",
            ),
            Error::Other(inner) => {
                let detail = inner.to_string();
                let advice = if detail.contains(NO_TLS) { SPEAKS_NO_TLS } else { UNREACHABLE };
                Failure::local("connection", detail, advice)
            }
            other => Failure::local("failed", other, "see the authority's status page"),
        }
    }
}

/// What rustls says of a server that responds in another protocol than TLS.
const NO_TLS: &str = "InvalidContentType";

const SPEAKS_NO_TLS: &str =
    "no TLS is spoken there: see whether --acme-directory has the port of the authority's HTTPS";

const UNREACHABLE: &str = "see whether this machine reaches the authority, and has the right time; a test authority's \
     certificate is named by --acme-ca-file";

/// What to do about a problem of this type.
fn advice(code: &str) -> &'static str {
    match code {
        "dns" => "see whether DNS has an A or AAAA record of the name that leads to this server",
        "connection" => {
            "see whether the name leads to this server, and ports 80 and 443 of it are open to \
             the internet (http-01 needs 80, tls-alpn-01 needs 443)"
        }
        "unauthorized" | "incorrectResponse" => {
            "another server responds for the name, or none: see where its A and AAAA records lead, \
             whether its port is open (http-01 needs 80, tls-alpn-01 needs 443), and whether a proxy \
             is in front (behind one that ends TLS only http-01 works)"
        }
        "tls" => "see whether a proxy in front ends TLS: behind one only http-01 works",
        "caa" => "the CAA record of the name allows other authorities only: add this one",
        "rateLimited" => {
            "wait: attempts go on by themselves; --acme-staging is for trying, with other limits"
        }
        "rejectedIdentifier" | "unsupportedIdentifier" => {
            "the authority has no certificates for this name: leave it out; addresses may need \
             --acme-profile shortlived"
        }
        "invalidProfile" => "the authority has no such profile: see --acme-profile",
        "externalAccountRequired" => {
            "the authority wants an account of its own: set --acme-eab-kid and --acme-eab-key-file"
        }
        "refused" => "see whether --acme-directory is the URL of the authority's directory",
        REDIRECT => "set --acme-directory to the URL of the directory itself",
        "userActionRequired" => "the authority's terms have changed: read them at the URL it names",
        "invalidContact" | "unsupportedContact" => "write another address to --acme-email",
        "accountDoesNotExist" => {
            "the authority does not know the account any more: another one is made"
        }
        "badNonce" | "serverInternal" | "orderNotReady" => {
            "nothing: attempts go on by themselves; see the authority's status page if it stays so"
        }
        _ => "see the authority's documentation about it",
    }
}
