//! The fields that a line of JSON may have, and which of them are written.

use std::fmt;
use std::str::FromStr;

/// A field of the access log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum LogField {
    /// When the request was complete.
    Timestamp,
    /// The client.
    Client,
    /// The request line.
    Request,
    /// The method.
    Method,
    /// The scheme that the client uses.
    Scheme,
    /// The host that the request is for.
    Host,
    /// The site, where there are several.
    Site,
    /// The path of the target, without its query.
    Path,
    /// The query.
    Query,
    /// The version of HTTP.
    Protocol,
    /// The status.
    Status,
    /// Bytes of the body that the client took.
    BodyBytes,
    /// Until the first byte of the response.
    FirstByte,
    /// Until its last byte.
    Total,
    /// The decision.
    Decision,
    /// The guest.
    Guest,
    /// What the decision took.
    Compute,
    /// The request's id.
    RequestId,
    /// The version of TLS.
    TlsVersion,
    /// The name that the client of TLS asked for.
    ServerName,
    /// The name in the client's certificate.
    ClientName,
    /// `Referer`.
    Referer,
    /// `User-Agent`.
    UserAgent,
}

/// All fields, in the order in which they are written, with their names.
const ALL: [(LogField, &str); 23] = [
    (LogField::Timestamp, "timestamp"),
    (LogField::Client, "client"),
    (LogField::Request, "request"),
    (LogField::Method, "method"),
    (LogField::Scheme, "scheme"),
    (LogField::Host, "host"),
    (LogField::Site, "site"),
    (LogField::Path, "path"),
    (LogField::Query, "query"),
    (LogField::Protocol, "protocol"),
    (LogField::Status, "status"),
    (LogField::BodyBytes, "body_bytes"),
    (LogField::FirstByte, "first_byte_us"),
    (LogField::Total, "total_us"),
    (LogField::Decision, "decision"),
    (LogField::Guest, "guest"),
    (LogField::Compute, "compute_us"),
    (LogField::RequestId, "request_id"),
    (LogField::TlsVersion, "tls_version"),
    (LogField::ServerName, "server_name"),
    (LogField::ClientName, "client_name"),
    (LogField::Referer, "referer"),
    (LogField::UserAgent, "user_agent"),
];

/// Some of the fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LogFields(u32);

/// A list that names no fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoLogField(String);

impl fmt::Display for NoLogField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = ALL.iter().map(|(_, name)| *name).collect();
        write!(f, "there is no field {:?}; write some of {}", self.0, names.join(","))
    }
}

impl std::error::Error for NoLogField {}

impl LogFields {
    /// All of them.
    pub const ALL: LogFields = LogFields((1 << ALL.len()) - 1);

    /// These and the others.
    #[must_use]
    pub fn and(self, others: LogFields) -> LogFields {
        LogFields(self.0 | others.0)
    }

    /// Whether this one is written.
    pub fn has(self, field: LogField) -> bool {
        self.0 & (1 << field as u8) != 0
    }
}

impl FromStr for LogFields {
    type Err = NoLogField;

    /// Reads names between commas.
    fn from_str(text: &str) -> Result<LogFields, NoLogField> {
        text.split(',').map(str::trim).try_fold(LogFields(0), |fields, name| {
            let named = ALL.iter().find(|(_, known)| *known == name);
            let (field, _) = named.ok_or_else(|| NoLogField(name.to_owned()))?;
            Ok(LogFields(fields.0 | (1 << *field as u8)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{ALL, LogField, LogFields};

    #[test]
    fn fields_are_named_once_and_in_their_order() {
        for (number, (field, name)) in ALL.iter().enumerate() {
            assert_eq!(*field as usize, number, "{name}");
        }
        let all = ALL.map(|(_, name)| name).join(",");
        assert_eq!(all.parse(), Ok(LogFields::ALL));
    }

    #[test]
    fn some_fields_are_chosen() {
        let fields: LogFields = "path, status".parse().expect("fields");
        assert!(fields.has(LogField::Path) && fields.has(LogField::Status));
        assert!(!fields.has(LogField::Client));
        let error = "path,uri".parse::<LogFields>().expect_err("no field").to_string();
        assert!(error.starts_with("there is no field \"uri\"; write some of timestamp,client"));
        assert!("".parse::<LogFields>().is_err());
    }
}
