//! When an authority suggests that a certificate is renewed (ARI, RFC 9773): asked for without an
//! account.

use std::time::Duration;

use instant_acme::{Error, RenewalInfo};
use serde::Deserialize;

use super::client::Client;

/// What it suggests.
pub(super) struct Suggestion {
    /// The window, in seconds since 1970. An authority without such windows has none.
    pub(super) window: Option<(u64, u64)>,
    /// When it wants to be asked again, if it says so.
    pub(super) again: Option<Duration>,
}

/// The part of a directory that tells where to ask (RFC 9773, section 4).
#[derive(Deserialize)]
struct Directory {
    #[serde(rename = "renewalInfo")]
    renewal_info: Option<String>,
}

/// Asks for the window of the certificate that authorities call so.
pub(super) async fn ask(
    client: &Client,
    directory: &str,
    identifier: &str,
) -> Result<Suggestion, Error> {
    let (body, _) = client.get(directory).await?;
    let directory: Directory = serde_json::from_slice(&body)?;
    let Some(url) = directory.renewal_info else {
        return Ok(Suggestion { window: None, again: None });
    };
    let (body, again) = client.get(&format!("{url}/{identifier}")).await?;
    let window = serde_json::from_slice::<RenewalInfo>(&body)?.suggested_window;
    let [start, end] = [window.start, window.end].map(|at| u64::try_from(at.unix_timestamp()));
    let window = start.ok().zip(end.ok()).filter(|(start, end)| start <= end);
    Ok(Suggestion { window, again })
}
