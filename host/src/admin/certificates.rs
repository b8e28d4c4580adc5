//! What the status and the metrics tell of certificates.

use std::time::{SystemTime, UNIX_EPOCH};

use prometheus::proto::MetricFamily;
use serde::Serialize;

use crate::clock;
use crate::metrics;
use crate::tls::certificates::Store;
use crate::tls::certificates::reloads::{Outcome, Reload};
use crate::tls::certificates::status::{AuthoritiesStatus, PairStatus};

/// `tls` in the status.
#[derive(Serialize)]
pub(super) struct TlsBody {
    certificates: Vec<CertificateBody>,
    client_authorities: Option<AuthoritiesBody>,
}

#[derive(Serialize)]
struct CertificateBody {
    certificate: String,
    key: String,
    names: Vec<String>,
    key_type: &'static str,
    issuer: String,
    sha256: String,
    not_before: String,
    not_after: String,
    expires_in_s: i64,
    problems: Vec<String>,
    last_reload: Option<ReloadBody>,
}

#[derive(Serialize)]
struct AuthoritiesBody {
    file: String,
    authorities: usize,
    last_reload: Option<ReloadBody>,
}

#[derive(Serialize)]
struct ReloadBody {
    at: String,
    outcome: &'static str,
    code: Option<&'static str>,
    message: Option<String>,
}

impl TlsBody {
    pub(super) fn new(store: &Store) -> TlsBody {
        let now = SystemTime::now();
        TlsBody {
            certificates: store
                .status()
                .into_iter()
                .map(|it| CertificateBody::new(it, now))
                .collect(),
            client_authorities: store.authorities_status().map(AuthoritiesBody::from),
        }
    }
}

impl CertificateBody {
    fn new(status: PairStatus, now: SystemTime) -> CertificateBody {
        let PairStatus { pair, last_reload } = status;
        let (files, leaf) = (&pair.files, &pair.leaf);
        CertificateBody {
            certificate: files.certificate.display().to_string(),
            key: files.key.as_ref().unwrap_or(&files.certificate).display().to_string(),
            names: leaf.names.iter().map(ToString::to_string).collect(),
            key_type: leaf.key.name(),
            issuer: leaf.issuer.clone(),
            sha256: leaf.fingerprint_hex(),
            not_before: clock::rfc3339_of(leaf.not_before),
            not_after: clock::rfc3339_of(leaf.not_after),
            expires_in_s: seconds(leaf.not_after).saturating_sub(seconds(now)),
            problems: pair.problems.iter().map(ToString::to_string).collect(),
            last_reload: last_reload.map(ReloadBody::from),
        }
    }
}

impl From<AuthoritiesStatus> for AuthoritiesBody {
    fn from(status: AuthoritiesStatus) -> AuthoritiesBody {
        let AuthoritiesStatus { file, authorities, last_reload } = status;
        AuthoritiesBody { file, authorities, last_reload: last_reload.map(ReloadBody::from) }
    }
}

impl From<Reload> for ReloadBody {
    fn from(reload: Reload) -> ReloadBody {
        let (code, message) = reload.error.unzip();
        ReloadBody {
            at: clock::rfc3339_of(reload.at),
            outcome: reload.outcome.name(),
            code,
            message,
        }
    }
}

/// Since 1970.
fn seconds(time: SystemTime) -> i64 {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    i64::try_from(seconds).unwrap_or(i64::MAX)
}

/// None without certificates: a family without metrics is none.
pub(super) fn families(store: Option<&Store>) -> Vec<MetricFamily> {
    let Some(store) = store else { return Vec::new() };
    let expiries = store.expiries();
    let expiries =
        expiries.iter().map(|(name, time)| (vec![("name", name.as_str())], seconds(*time) as f64));
    let reloads =
        Outcome::ALL.map(|outcome| (vec![("outcome", outcome.name())], store.reloads(outcome)));
    vec![
        metrics::gauge(
            "innkeeper_tls_certificate_expiry_seconds",
            "Time at which a certificate expires, in seconds since 1970, by its first name.",
            expiries,
        ),
        metrics::counter(
            "innkeeper_tls_certificate_reloads_total",
            "Files of certificates and of authorities of clients that changed, by outcome.",
            reloads,
        ),
    ]
}
