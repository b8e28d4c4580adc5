//! How urgent a client finds a response (RFC 9218), as the field `priority` of its request says.

use crate::http::Request;

/// The urgency of a request that says nothing else, and the least one (RFC 9218, section 4.1).
const DEFAULT_URGENCY: u8 = 3;
const LEAST_URGENCY: u8 = 7;

/// How urgent a response is beside others of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Priority {
    /// 0 is sent before 1, and so on to 7.
    pub(crate) urgency: u8,
    /// Whether a part of it is of use to the client. Such responses are sent in turns, others one
    /// after another.
    pub(crate) is_incremental: bool,
}

impl Priority {
    /// Of a request without the field. RFC 9218 would send such responses one after another, but
    /// who says nothing may be a proxy whose requests are those of many clients: none of them
    /// waits for another's large file.
    pub(crate) const UNKNOWN: Priority =
        Priority { urgency: DEFAULT_URGENCY, is_incremental: true };

    /// As the request says. A malformed field counts as one without parameters.
    pub(crate) fn of(request: &Request<'_>) -> Priority {
        match request.joined("priority") {
            Some(value) => Priority::read(&value),
            None => Priority::UNKNOWN,
        }
    }

    /// As a value of the field says.
    fn read(value: &[u8]) -> Priority {
        let mut priority = Priority { urgency: DEFAULT_URGENCY, is_incremental: false };
        let is_well_formed = dictionary(value, |key, item| match (key, item) {
            (b"u", Item::Integer(urgency @ 0..=LEAST_URGENCY)) => priority.urgency = urgency,
            (b"i", Item::Boolean(is_incremental)) => priority.is_incremental = is_incremental,
            // Others are to come, and values of another type or range count as none.
            (b"u", _) => priority.urgency = DEFAULT_URGENCY,
            (b"i", _) => priority.is_incremental = false,
            _ => {}
        });
        match is_well_formed {
            Some(()) => priority,
            None => Priority { urgency: DEFAULT_URGENCY, is_incremental: false },
        }
    }
}

/// A value of a structured field, as far as it matters here.
enum Item {
    Integer(u8),
    Boolean(bool),
    Other,
}

/// Reads a dictionary (RFC 9651, section 4.2.2). `None` if it is malformed.
fn dictionary(value: &[u8], mut member: impl FnMut(&[u8], Item)) -> Option<()> {
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        let key = key(&mut rest)?;
        let item = match rest.strip_prefix(b"=") {
            Some(behind) if behind.starts_with(b"(") => {
                rest = behind;
                inner_list(&mut rest)?
            }
            Some(behind) => {
                rest = behind;
                bare_item(&mut rest)?
            }
            None => Item::Boolean(true),
        };
        parameters(&mut rest)?;
        member(key, item);
        rest = rest.trim_ascii_start();
        if !rest.is_empty() {
            rest = rest.strip_prefix(b",")?.trim_ascii_start();
            // A comma is followed by a member.
            rest.first()?;
        }
    }
    Some(())
}

fn key<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    if !matches!(rest.first()?, b'a'..=b'z' | b'*') {
        return None;
    }
    Some(take_while(
        rest,
        |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-' | b'.' | b'*'),
    ))
}

fn parameters(rest: &mut &[u8]) -> Option<()> {
    while let Some(behind) = rest.strip_prefix(b";") {
        *rest = behind.trim_ascii_start();
        key(rest)?;
        if let Some(behind) = rest.strip_prefix(b"=") {
            *rest = behind;
            bare_item(rest)?;
        }
    }
    Some(())
}

fn inner_list(rest: &mut &[u8]) -> Option<Item> {
    *rest = rest.strip_prefix(b"(")?;
    loop {
        *rest = rest.trim_ascii_start();
        if let Some(behind) = rest.strip_prefix(b")") {
            *rest = behind;
            return Some(Item::Other);
        }
        bare_item(rest)?;
        parameters(rest)?;
        if !matches!(rest.first()?, b' ' | b')') {
            return None;
        }
    }
}

fn bare_item(rest: &mut &[u8]) -> Option<Item> {
    match rest.first()? {
        b'0'..=b'9' | b'-' => {
            let number = take_while(rest, |byte| matches!(byte, b'0'..=b'9' | b'-' | b'.'));
            // What no integer is, is a decimal or malformed: the one matters as little as the other.
            let number = str::from_utf8(number).ok()?.parse();
            Some(number.map_or(Item::Other, Item::Integer))
        }
        b'?' => {
            let is_true = match rest.get(1)? {
                b'0' => false,
                b'1' => true,
                _ => return None,
            };
            *rest = &rest[2..];
            Some(Item::Boolean(is_true))
        }
        b'"' => {
            *rest = &rest[1..];
            loop {
                take_while(rest, |byte| matches!(byte, b' '..=b'~') && !b"\"\\".contains(&byte));
                let (first, behind) = rest.split_first()?;
                *rest = behind;
                match first {
                    b'"' => return Some(Item::Other),
                    b'\\' => *rest = rest.strip_prefix(b"\"").or(rest.strip_prefix(b"\\"))?,
                    _ => return None,
                }
            }
        }
        b':' => {
            *rest = &rest[1..];
            take_while(rest, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            *rest = rest.strip_prefix(b":")?;
            Some(Item::Other)
        }
        b'a'..=b'z' | b'A'..=b'Z' | b'*' => {
            take_while(rest, |byte| {
                byte.is_ascii_graphic() && !b"\"(),;<=>?@[\\]{}".contains(&byte)
            });
            Some(Item::Other)
        }
        _ => None,
    }
}

fn take_while<'a>(rest: &mut &'a [u8], is_part: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|byte| !is_part(*byte)).unwrap_or(rest.len());
    let (part, behind) = rest.split_at(end);
    *rest = behind;
    part
}

#[cfg(test)]
mod tests {
    use super::Priority;

    #[test]
    fn urgency_and_increments_are_read() {
        for (value, urgency, is_incremental) in [
            ("", 3, false),
            ("u=0", 0, false),
            ("u=7, i", 7, true),
            ("i", 3, true),
            ("i,u=5", 5, true),
            (" u=1 ,\ti ", 1, true),
            ("i=?1", 3, true),
            ("i=?0, u=2", 2, false),
            // The last counts.
            ("u=1, u=2", 2, false),
            ("i, i=?0", 3, false),
            ("u=1, u=x", 3, false),
            // Of another type, or out of range.
            ("u=8, i", 3, true),
            ("u=-1", 3, false),
            ("u=1.5", 3, false),
            ("u=?1, i=1", 3, false),
            ("u, i=\"a\"", 3, false),
            ("u=99999999999999999999", 3, false),
            // Parameters, and keys to come.
            ("u=1;a=\"\\\"\";b=:YQ==:;c, i;d=?0", 1, true),
            ("x=(1 \"a b\";q=1 ?0), u=4, y.z*-1=Token/a:b", 4, false),
            ("*a=(), u=6", 6, false),
        ] {
            let expected = Priority { urgency, is_incremental };
            assert_eq!(Priority::read(value.as_bytes()), expected, "{value:?}");
        }
    }

    #[test]
    fn malformed_value_is_ignored() {
        for value in [
            "u=1,",
            "u=1,,i",
            ",u=1",
            "u=1 i",
            "U=1, i",
            "u=1, i=",
            "u=1, i=?2",
            "u=1, i=?",
            "u=1, \"i\"",
            "u=1, x=(1",
            "u=1, x=(1\"a\")",
            "u=1, x=\"a",
            "u=1, x=\"\\a\"",
            "u=1;",
            "u=1, x=:a",
            "u=1, i;=1",
            "u=1, \u{e9}",
            "u=1, x=\"\u{e9}\"",
            "u=1\0",
            "=1, i",
            "u=1, 1",
        ] {
            let expected = Priority { urgency: 3, is_incremental: false };
            assert_eq!(Priority::read(value.as_bytes()), expected, "{value:?}");
        }
    }
}
