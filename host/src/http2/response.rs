//! The head of a response: its status and its fields, as `h2` takes them.

use std::cell::RefCell;

use ::http::header::{CONTENT_LENGTH, DATE, SERVER};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::clock::{self, HttpDate};
use crate::http::Field;
use crate::service::Response;

/// Fields that are not there in HTTP/2 (RFC 9113, section 8.2.2).
const OF_THE_CONNECTION: [&str; 5] =
    ["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"];

/// The head of a response.
///
/// `content-length` is there whenever the status allows a body, also in responses to HEAD, where
/// it tells what GET would have sent.
pub(crate) fn head(response: &Response) -> ::http::Response<()> {
    let mut head = ::http::Response::new(());
    *head.status_mut() = StatusCode::from_u16(response.status).unwrap_or_default();
    *head.version_mut() = ::http::Version::HTTP_2;
    let kept = response.fields.kept(template);
    let mut fields = kept.cloned().unwrap_or_else(|| template(&response.fields));
    fields.insert(DATE, date());
    match response.content_length() {
        Some(length) => fields.insert(CONTENT_LENGTH, HeaderValue::from(length)),
        None => fields.remove(CONTENT_LENGTH),
    };
    *head.headers_mut() = fields;
    head
}

/// The fields of a response, with `server` and with places for those that are set for each one.
fn template(fields: &[Field]) -> HeaderMap {
    let mut map = HeaderMap::with_capacity(fields.len() + 3);
    map.insert(SERVER, HeaderValue::from_static("innkeeper"));
    map.insert(DATE, HeaderValue::from_static(""));
    map.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    for Field { name, value } in fields {
        // What is no field of HTTP was refused where it came from.
        let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value))
        else {
            debug_assert!(false, "no field: {name}");
            continue;
        };
        if !OF_THE_CONNECTION.contains(&name.as_str()) {
            map.append(name, value);
        }
    }
    map
}

/// The current time, made once a second.
fn date() -> HeaderValue {
    thread_local! {
        static LAST: RefCell<Option<(HttpDate, HeaderValue)>> = const { RefCell::new(None) };
    }
    let now = clock::http_date();
    LAST.with_borrow_mut(|last| {
        if last.as_ref().is_none_or(|(date, _)| *date != now) {
            let value = HeaderValue::from_bytes(&now).unwrap_or(HeaderValue::from_static(""));
            *last = Some((now, value));
        }
        last.as_ref().map_or(HeaderValue::from_static(""), |(_, value)| value.clone())
    })
}
