//! What every version of HTTP has in common: no I/O, no wire, no policy.
//!
//! - [`request`], [`method`], [`scheme`]: what is asked for.
//! - [`response`], [`status`], [`fields`], [`body`]: how it is answered.
//! - [`token`], [`host`]: what names and authorities may hold; [`host_pattern`]: the hosts of a site.
//! - [`peer`], [`tls`]: the other end of a connection, and what secures it; [`limits`]: what a request may hold.

pub mod body;
pub mod fault;
pub mod fields;
pub mod host;
pub mod host_pattern;
pub mod limits;
pub mod method;
pub mod peer;
pub mod request;
pub mod response;
pub mod scheme;
pub mod status;
pub mod tls;
pub mod token;

pub use body::{Body, ByteRange, Content};
pub use fault::Fault;
pub use fields::{Field, Fields};
pub use host_pattern::HostPattern;
pub use limits::Limits;
pub use method::Method;
pub use peer::{Peer, Subnet, UNIX_CLIENT};
pub use request::{FieldLine, Request, Version};
pub use response::Response;
pub use scheme::Scheme;
pub use tls::{ClientCertificate, Tls, TlsVersion};
