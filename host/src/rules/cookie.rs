//! A cookie that lets its client pass.

use super::problem::Problem;
use crate::http::token::is_token;

/// The name and the value of a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cookie {
    /// The name.
    pub name: String,
    /// The value.
    pub value: String,
}

impl Cookie {
    /// Reads `name=value`.
    pub fn parse(text: &str) -> Result<Cookie, Problem> {
        match text.split_once('=') {
            Some((name, value)) if is_token(name) && !value.is_empty() => {
                Ok(Cookie { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err("write a cookie as NAME=VALUE".into()),
        }
    }
}
