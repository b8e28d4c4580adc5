//! What `wit/policy.wit` allows of a decision, in numbers and names. The host refuses what is beyond;
//! rules are checked by the same when they are read.

/// Candidates of one decision. Each costs the site a look.
pub const MAX_CANDIDATES: usize = 16;

/// Fields of a guest in one response: as many as the host accepts in a request's head.
pub const MAX_FIELDS: usize = 64;

/// Bytes of the names and values of these fields together.
pub const MAX_FIELD_BYTES: usize = 16 << 10;

/// Bytes of a redirect's location: no client accepts longer ones.
pub const MAX_LOCATION_BYTES: usize = 8 << 10;

/// Bytes of a guest's own body. What is larger belongs into a file.
pub const MAX_BODY_BYTES: usize = 1 << 20;

/// Fields of how a response is framed, which connection it travels on, or which bytes of which
/// representation it holds: the host's alone. In lower case and in order.
pub const HOST_FIELDS: [&str; 15] = [
    "accept-ranges",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "date",
    "etag",
    "keep-alive",
    "last-modified",
    "proxy-connection",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Whether the host alone writes fields of this name, in any letter case.
pub fn is_host_field(name: &str) -> bool {
    let lower = || name.bytes().map(|byte| byte.to_ascii_lowercase());
    HOST_FIELDS.binary_search_by(|field| field.bytes().cmp(lower())).is_ok()
}

/// Whether the text is a token, as names of methods and fields are (RFC 9110, section 5.6.2).
pub fn is_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether a value has none of the characters that no field may have.
pub fn is_field_value(value: &[u8]) -> bool {
    value.iter().all(|&byte| byte == b'\t' || !byte.is_ascii_control())
}

/// Whether fields of this name, in any letter case, add up: one of a page takes nothing away from that
/// of the whole response.
pub fn adds_up(name: &str) -> bool {
    ["link", "set-cookie", "vary"].iter().any(|other| name.eq_ignore_ascii_case(other))
}

/// Whether a redirect may have this status.
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Whether a page may have this status: 200, or that of an error which it explains.
pub fn is_page(status: u16) -> bool {
    matches!(status, 200 | 400..=411 | 413..=415 | 417..=599)
}
