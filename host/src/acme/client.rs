//! The HTTP client of an authority: HTTPS alone, one connection that is kept, and bounds on all
//! that the other side sends.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{HOST, LOCATION, RETRY_AFTER, USER_AGENT};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient, Problem};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::timeout;

use super::failure::code_of;
use crate::helper::fetcher::dial;
use crate::lock::lock;

/// Bytes of a response: a chain of certificates has some thousand.
const BODY_BYTES: usize = 256 << 10;

/// How long a response may take, with all of its body. An authority that signs takes seconds.
const RESPONSE: Duration = Duration::from_secs(60);

/// What this server calls itself (RFC 8555, section 6.1).
const AGENT: &str = concat!("innkeeper/", env!("CARGO_PKG_VERSION"), " (instant-acme)");

type Body = BodyWrapper<Bytes>;

/// The client. Copies of it share all.
#[derive(Clone)]
pub(super) struct Client(Arc<Shared>);

struct Shared {
    tls: Arc<rustls::ClientConfig>,
    /// A connection that has no request, and the authority that it leads to.
    kept: Mutex<Option<(Authority, SendRequest<Body>)>>,
    /// When the authority wants to be asked again, as it said last where it refused.
    retry_after: Mutex<Option<SystemTime>>,
}

/// Why there is no client.
#[derive(Debug)]
pub(super) enum ClientError {
    /// The authorities of this file, or of the system, cannot be read.
    Roots(Option<PathBuf>, io::Error),
    /// TLS cannot be set up.
    Tls(rustls::Error),
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ClientError::Roots(Some(path), error) => {
                write!(f, "cannot read the authorities of {}: {error}", path.display())
            }
            ClientError::Roots(None, error) => {
                write!(f, "cannot read the authorities of the system: {error}")
            }
            ClientError::Tls(error) => error.fmt(f),
        }
    }
}

/// Those who may sign the certificate of an authority: of a file, or else those of the system.
fn roots(ca_file: Option<&Path>) -> io::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let certificates = CertificateDer::pem_file_iter(path)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(io::Error::other)?;
            roots.add_parsable_certificates(certificates);
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
    }
    match roots.is_empty() {
        true => Err(io::Error::other("there is no certificate in it")),
        false => Ok(roots),
    }
}

/// Looks whether there are authorities in a file.
pub fn find_authorities(file: &Path) -> io::Result<()> {
    roots(Some(file)).map(drop)
}

impl Client {
    /// One that trusts the authorities of a file, or else those of the system.
    pub(super) fn open(ca_file: Option<&Path>) -> Result<Client, ClientError> {
        let cannot_read = |error| ClientError::Roots(ca_file.map(Path::to_owned), error);
        Client::new(roots(ca_file).map_err(cannot_read)?).map_err(ClientError::Tls)
    }

    fn new(roots: RootCertStore) -> Result<Client, rustls::Error> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Client(Arc::new(Shared {
            tls: Arc::new(tls),
            kept: Mutex::default(),
            retry_after: Mutex::default(),
        })))
    }

    /// When the authority wants to be asked again, if it has refused a request since this was
    /// asked last.
    pub(super) fn take_retry_after(&self) -> Option<SystemTime> {
        lock(&self.0.retry_after).take()
    }

    /// Ends the connection that is kept.
    pub(super) fn rest(&self) {
        lock(&self.0.kept).take();
    }
}

impl Client {
    /// Asks for what needs no key: the body, and when it may be asked for again.
    pub(super) async fn get(&self, url: &str) -> Result<(Bytes, Option<Duration>), Error> {
        let request = Request::builder().uri(url).body(Body::default())?;
        let (parts, body) = self.0.within(request).await?.into_parts();
        let told = parts.headers.get(RETRY_AFTER).and_then(|value| after(value.to_str().ok()?));
        Ok((body, told.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default())))
    }
}

impl HttpClient for Client {
    fn request(
        &self,
        request: Request<Body>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let shared = Arc::clone(&self.0);
        Box::pin(
            async move { Ok(BytesResponse::from(shared.within(request).await?.map(Full::new))) },
        )
    }
}

impl Shared {
    async fn within(&self, request: Request<Body>) -> Result<Response<Bytes>, Error> {
        let uri = request.uri().clone();
        let response = timeout(RESPONSE, self.send(request)).await;
        response.unwrap_or_else(|_| Err(failed(&uri, &io::ErrorKind::TimedOut.into())))
    }

    async fn send(&self, mut request: Request<Body>) -> Result<Response<Bytes>, Error> {
        let uri = request.uri().clone();
        let is_post = request.method() == Method::POST;
        let exchanged = self.exchange(&mut request, &uri).await;
        let (parts, body) = exchanged.map_err(|error| failed(&uri, &error))?;
        if !parts.status.is_success() {
            let told = parts.headers.get(RETRY_AFTER).and_then(|value| after(value.to_str().ok()?));
            if told.is_some() {
                *lock(&self.retry_after) = told;
            }
            let problem = serde_json::from_slice::<Problem>(&body).ok();
            let problem = problem.filter(|it| it.r#type.is_some() || it.detail.is_some());
            // The client of the protocol reads problems of what is signed, and looks at no status of the
            // rest.
            if problem.is_none() || !is_post {
                return Err(Error::Api(problem.unwrap_or_else(|| refusal(&parts, &uri))));
            }
        }
        Ok(Response::from_parts(parts, body))
    }

    /// Sends a request, and receives the response with all of its body.
    async fn exchange(
        &self,
        request: &mut Request<Body>,
        uri: &Uri,
    ) -> io::Result<(http::response::Parts, Bytes)> {
        let authority = match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) if *scheme == Scheme::HTTPS => authority.clone(),
            _ => return Err(io::Error::other("it is no https URL")),
        };
        let path = uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
        *request.uri_mut() = path.into();
        let headers = request.headers_mut();
        let host = HeaderValue::from_str(authority.as_str()).map_err(io::Error::other)?;
        headers.insert(HOST, host);
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let mut sender = self.connection(&authority).await?;
        let response =
            sender.send_request(std::mem::take(request)).await.map_err(io::Error::other)?;
        let (mut parts, body) = response.into_parts();
        bound(&mut parts.headers);
        let body = Limited::new(body, BODY_BYTES).collect().await;
        let body =
            body.map_err(|error: Box<dyn StdError + Send + Sync>| io::Error::other(error))?;
        *lock(&self.kept) = Some((authority, sender));
        Ok((parts, body.to_bytes()))
    }

    /// The one that is kept, if it is still open, or a new one.
    async fn connection(&self, authority: &Authority) -> io::Result<SendRequest<Body>> {
        let kept = lock(&self.kept).take().filter(|(kept, _)| kept == authority);
        if let Some((_, mut sender)) = kept
            && sender.ready().await.is_ok()
        {
            return Ok(sender);
        }
        let port = authority.port_u16().unwrap_or(443);
        let stream = dial(authority.host(), port, &self.tls).await?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            // What goes wrong there is told to the one who sent the request.
            let _ = connection.await;
        });
        sender.ready().await.map_err(io::Error::other)?;
        Ok(sender)
    }
}

/// Takes a time out that is no time: the client of the protocol adds it to now, and would panic.
fn bound(headers: &mut http::HeaderMap) {
    let is_time = |value: &HeaderValue| value.to_str().ok().and_then(after).is_some();
    if headers.get(RETRY_AFTER).is_some_and(|value| !is_time(value)) {
        headers.remove(RETRY_AFTER);
    }
}

fn failed(uri: &Uri, error: &io::Error) -> Error {
    Error::Other(format!("{}: {error}", shown(uri)).into())
}

/// A response without a problem in it, as one.
fn refusal(parts: &http::response::Parts, uri: &Uri) -> Problem {
    let to = parts.headers.get(LOCATION).and_then(|to| to.to_str().ok());
    let to = to.map(|to| format!(", which leads to {to}")).unwrap_or_default();
    Problem {
        r#type: Some(code_of(parts.status).to_owned()),
        detail: Some(format!("the response of {} is {}{to}", shown(uri), parts.status)),
        status: Some(parts.status.as_u16()),
        subproblems: Vec::new(),
    }
}

/// A URL without what may be long.
fn shown(uri: &Uri) -> String {
    crate::text::beginning(&uri.to_string(), 200)
}

/// The time that `Retry-After` names (RFC 9110, section 10.2.3).
fn after(value: &str) -> Option<SystemTime> {
    let value = value.trim();
    match value.parse::<u32>() {
        Ok(seconds) => Some(SystemTime::now() + Duration::from_secs(seconds.into())),
        Err(_) => httpdate::parse_http_date(value).ok(),
    }
}
