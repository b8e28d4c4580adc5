//! One request, as far as a policy sees it: the request line, and the fields and facts
//! that the policy named.

use crate::decision::Field;
use crate::line::{Fault, RequestLine, Target, split_port};

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    line: Vec<u8>,
    fields: Vec<Field>,
}

impl Request {
    /// The request with this line, without its line end, and these fields and facts.
    pub fn new(line: impl Into<Vec<u8>>, fields: Vec<Field>) -> Request {
        Request { line: line.into(), fields }
    }

    /// The request line, byte for byte and without its line end.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// The request line, parsed.
    pub fn parse(&self) -> Result<RequestLine<'_>, Fault> {
        RequestLine::parse(&self.line)
    }

    /// The fields and facts of [`INTERESTS`](crate::Policy::INTERESTS): facts
    /// first, then one entry for each field line, in the order of arrival.
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The values of the fields with this name, in any letter case.
    pub fn values(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.fields
            .iter()
            .filter(move |field| field.name.eq_ignore_ascii_case(name))
            .map(|field| field.value.as_slice())
    }

    /// The value of a fact, or of a field that may be sent once. `None` if there is
    /// none, if there are several, of which none counts, or if it is no text.
    pub fn value(&self, name: &str) -> Option<&str> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => std::str::from_utf8(value).ok(),
            _ => None,
        }
    }

    /// The elements of a field that is a list with commas, over all of its lines
    /// (RFC 9110, section 5.6.1). Not for fields with quoted strings, in which a
    /// comma may stand.
    pub fn list(&self, name: &str) -> impl Iterator<Item = &str> {
        self.values(name)
            .filter_map(|value| std::str::from_utf8(value).ok())
            .flat_map(|value| value.split(','))
            .map(|element| element.trim_matches([' ', '\t']))
            .filter(|element| !element.is_empty())
    }

    /// The host of the request, without its port and as the client wrote it: that of
    /// the target, if the target names one, or else that of the field `host`, which
    /// must be among the interests (RFC 9112, section 3.2.2).
    pub fn host(&self) -> Option<&str> {
        self.host_of(self.parse().ok()?.target).map(|(host, _)| host)
    }

    /// The same, with the port, of a request whose line is parsed and has this target.
    pub(crate) fn host_of<'r>(&'r self, target: Target<'r>) -> Option<(&'r str, Option<u16>)> {
        let authority = match target {
            Target::Absolute { authority, .. } | Target::Authority(authority) => authority,
            Target::Origin { .. } | Target::Asterisk => self.value("host")?,
        };
        split_port(authority)
    }
}

#[cfg(test)]
mod tests {
    use super::Request;
    use crate::decision::Field;

    fn request(line: &str, fields: &[(&str, &str)]) -> Request {
        Request::new(line, fields.iter().map(|&(name, value)| Field::new(name, value)).collect())
    }

    #[test]
    fn value_of_repeated_field_is_none() {
        let fields = [("a", "1"), ("b", "2"), ("b", "3"), ("c", "")];
        let request = request("GET / HTTP/1.1", &fields);
        assert_eq!(request.value("A"), Some("1"));
        assert_eq!(request.value("b"), None);
        assert_eq!(request.values("b").collect::<Vec<_>>(), [b"2", b"3"]);
        assert_eq!(request.value("c"), Some(""));
        assert_eq!(request.value("d"), None);
        let raw = Request::new("GET / HTTP/1.1", vec![Field::new("a", b"\xff".to_vec())]);
        assert_eq!(raw.value("a"), None);
    }

    #[test]
    fn list_has_the_elements_of_all_field_lines() {
        let fields = [("accept", "a ,\tb,, "), ("host", "h"), ("accept", "c")];
        let request = request("GET / HTTP/1.1", &fields);
        assert_eq!(request.list("accept").collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[test]
    fn host_is_that_of_the_target_or_else_of_the_field() {
        #[track_caller]
        fn check(target: &str, fields: &[(&str, &str)], expected: Option<&str>) {
            let request = request(&format!("GET {target} HTTP/1.1"), fields);
            assert_eq!(request.host(), expected, "{target} {fields:?}");
        }
        check("/", &[("host", "Example.org:8080")], Some("Example.org"));
        check("/", &[("host", "[::1]:80")], Some("[::1]"));
        check("http://other/", &[("host", "example.org")], Some("other"));
        check("/", &[], None);
        check("/", &[("host", "")], None);
        check("/", &[("host", "a"), ("host", "b")], None);
        check("/", &[("host", "a/b")], None);
        check("/", &[("host", "user@a")], None);
        check("/", &[("host", "a:99999")], None);
    }
}
