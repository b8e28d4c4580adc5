//! The id of a request: what it came with, or a random one. Its response has it, and its line in
//! the log, so that what several servers say of one request can be brought together.

use super::Response;
use crate::http::{Field, Request};
use crate::random;
use crate::text::hex;

/// Bytes of an id that is kept. Those in use have 16 to 64.
const MAX_BYTES: usize = 128;

/// Random bytes of one that is made, as in a UUID.
const RANDOM_BYTES: usize = 16;

/// The id of a request, or of what is none. The field of this name has it.
pub(super) fn of(name: &str, request: Option<&Request<'_>>) -> Box<str> {
    let given = request.and_then(|request| request.values(name).next().and_then(kept));
    given.map_or_else(made, str::to_owned).into()
}

/// Adds an id to a response, in place of a field of that name.
pub(super) fn add_to(mut response: Response, name: &str, id: &str) -> Response {
    response.fields.retain(|field| !field.name.eq_ignore_ascii_case(name));
    let value = id.as_bytes().to_vec().into();
    response.fields.push(Field { name: name.to_owned().into(), value });
    response
}

/// An id that a client gives, if logs and other servers can hold it.
fn kept(value: &[u8]) -> Option<&str> {
    let is_usual = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:+/=@".contains(byte);
    let is_kept = (1..=MAX_BYTES).contains(&value.len()) && value.iter().all(is_usual);
    is_kept.then(|| std::str::from_utf8(value).ok()).flatten()
}

fn made() -> String {
    // The system has some, or the server would not have started.
    let bytes: [u8; RANDOM_BYTES] = random::bytes().unwrap_or_default();
    bytes.into_iter().flat_map(hex).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::{kept, made};

    #[test]
    fn id_that_is_usual_is_kept() {
        for id in ["4f", "01HZX3-a_b.c:d+/=@", "4bf92f3577b34da6a3ce929d0e0e4736"] {
            assert_eq!(kept(id.as_bytes()), Some(id));
        }
        for id in ["", "a b", "a\"b", "a\u{e9}", &"a".repeat(129)] {
            assert_eq!(kept(id.as_bytes()), None, "{id:?}");
        }
    }

    #[test]
    fn made_ids_are_hexadecimal_and_differ() {
        let (one, other) = (made(), made());
        assert!(one.len() == 32 && one.bytes().all(|byte| byte.is_ascii_hexdigit()), "{one}");
        assert_ne!(one, other);
    }
}
