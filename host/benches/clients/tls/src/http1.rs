//! One response of HTTP/1.1 from a stream. `servers/paced.rs` has it, too, which is no crate and of
//! an earlier edition.

use std::io::{self, BufRead};

/// Reads a response with a `Content-Length`. Returns its status and its bytes.
pub fn read_response(reader: &mut impl BufRead, body: &mut Vec<u8>) -> io::Result<(u16, u64)> {
    let bad = |what: &str| io::Error::other(what.to_owned());
    let mut line = String::new();
    let mut bytes = reader.read_line(&mut line)?;
    let status = line
        .split(' ')
        .nth(1)
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| bad("no status line: the connection was closed, or this is not HTTP"))?;
    let mut length = None;
    loop {
        line.clear();
        bytes += reader.read_line(&mut line)?;
        let field = line.trim_end();
        if field.is_empty() {
            break;
        }
        let is_length = |name: &str| name.eq_ignore_ascii_case("content-length");
        if let Some((_, value)) = field.split_once(':').filter(|(name, _)| is_length(name)) {
            length = value.trim().parse().ok();
        }
    }
    let length: usize = length.ok_or_else(|| bad("a response without Content-Length"))?;
    body.resize(length, 0);
    reader.read_exact(body)?;
    Ok((status, (bytes + length) as u64))
}
