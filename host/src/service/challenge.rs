//! HTTP-01: a path by which a certificate authority sees that a name is this server's (RFC 8555,
//! section 8.3). It is answered before redirects, limits and the guest.

use std::future::Future;
use std::pin::Pin;

use super::{Response, location};
use crate::http::host::without_port;
use crate::http::response::NO_SNIFFING;
use crate::http::{Body, Field, Method, Request};

/// Where an authority asks.
pub(super) const PATHS: &str = "/.well-known/acme-challenge/";

/// Tells what proves a host to an authority: by the host, without a port, and the token.
pub type FindChallenge = Box<
    dyn Fn(String, String) -> Pin<Box<dyn Future<Output = Option<String>> + Send>> + Send + Sync,
>;

/// The response to an authority, if the request is for a challenge of this server. Others below
/// the same path are for the guest: another program may have put them there.
pub(super) async fn respond(
    find: Option<&FindChallenge>,
    request: &Request<'_>,
) -> Option<Response> {
    let find = find?;
    let (path, _) = location::path_query(request.target);
    let token = path.strip_prefix(PATHS)?;
    if !matches!(request.method, Method::Get | Method::Head) {
        return None;
    }
    let host = without_port(request.host()?);
    // Boxed, as every connection would have room for it.
    let text = find(host.to_owned(), token.to_owned()).await?;
    let mut response = Response::bare(200);
    let content_type = Field::fixed("Content-Type", "application/octet-stream");
    response.fields.extend([content_type, NO_SNIFFING]);
    response.body = Body::Bytes(text.into_bytes());
    Some(response)
}
