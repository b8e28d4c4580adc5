//! What the host says about a failure, in the form that the client takes: a page for browsers, JSON
//! for programs that prefer it, and one line of text for all others.

use std::fmt::Write;
use std::sync::LazyLock;

use super::accept::{FailureForm, failure_form};
use super::{Body, Response, Service, policy_fields};
use crate::html::{compact, escaped, source_hash};
use crate::http::response::sentence;
use crate::http::status::reason;
use crate::http::{Field, Request};

/// The style sheet of the page.
static STYLE: LazyLock<String> =
    LazyLock::new(|| compact(concat!(include_str!("../palette.css"), include_str!("failure.css"))));

/// What a browser may do with the page: show it, with its style and the site's icon.
static CONTENT_SECURITY_POLICY: LazyLock<String> = LazyLock::new(|| {
    let style = source_hash(&STYLE);
    format!(
        "default-src 'none'; style-src {style}; img-src 'self'; base-uri 'none'; form-action 'none'"
    )
});

impl Service {
    /// Gives a failure that the host words itself the form that the client takes. What came of files
    /// and guests stays as it is: a body that is [`Body::Bytes`] is the host's line of text.
    pub(super) fn in_form_for(&self, request: &Request<'_>, mut response: Response) -> Response {
        let Body::Bytes(line) = &response.body else { return response };
        if response.status < 400 {
            return response;
        }
        let form = failure_form(&request.joined("accept").unwrap_or_default());
        let line = || String::from_utf8_lossy(line.trim_ascii_end());
        let content = match form {
            FailureForm::Text => None,
            FailureForm::Json(name) => Some((name, json(response.status, &line()))),
            FailureForm::Html => Some(("text/html; charset=utf-8", page(response.status, &line()))),
        };
        // Also where it is text: another client gets another form.
        policy_fields::vary_by_accept(&mut response);
        let Some((content_type, body)) = content else { return response };
        response.body = Body::Bytes(body);
        response.fields.retain(|field| field.name != "Content-Type");
        response.fields.push(Field::fixed("Content-Type", content_type));
        if form == FailureForm::Html {
            response = self.restrict_page(response, &CONTENT_SECURITY_POLICY);
        }
        response
    }

    /// Restricts a page of the host's own to what it has; except in `innkeeper dev`, which adds its
    /// script to it.
    pub(super) fn restrict_page(&self, mut response: Response, policy: &'static str) -> Response {
        if self.page_script.is_none() {
            policy_fields::restrict(&mut response, policy);
        }
        response
    }
}

/// An object as RFC 9457 has it.
fn json(status: u16, line: &str) -> Vec<u8> {
    let object = serde_json::json!({ "title": reason(status), "status": status, "detail": line });
    format!("{object}\n").into_bytes()
}

/// A page that says what the line says, or more where the line is only what the status means.
fn page(status: u16, line: &str) -> Vec<u8> {
    /// The one that is sent most.
    static NOT_FOUND: LazyLock<Vec<u8>> =
        LazyLock::new(|| make_page(404, sentence(404)).into_bytes());
    match status == 404 && line == sentence(404) {
        true => NOT_FOUND.clone(),
        false => make_page(status, line).into_bytes(),
    }
}

fn make_page(status: u16, line: &str) -> String {
    let title = sentence(status);
    // What is only the status in other letters says no more.
    let text = match line.eq_ignore_ascii_case(title) {
        true => explanation(status).to_owned(),
        false => escaped(line),
    };
    let mut page = String::with_capacity(STYLE.len() + 1024);
    // Writing to memory does not fail.
    let _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{}</style>\n\
         <main>\n<p class=\"status\">{status}</p>\n<h1>{title}</h1>\n",
        *STYLE
    );
    if !text.is_empty() {
        let _ = writeln!(page, "<p>{text}</p>");
    }
    if matches!(status, 403 | 404 | 410) {
        page.push_str("<p><a href=\"/\">Go to the start page</a></p>\n");
    }
    page.push_str("</main>\n</html>\n");
    page
}

/// What a visitor can make of a status.
fn explanation(status: u16) -> &'static str {
    match status {
        400 => "The server does not understand this request.",
        401 => "This page is for those who have its password.",
        403 => "This page is not open to you.",
        410 => "This page was here, and is gone for good.",
        404 => {
            "There is no page at this address. It may have moved, or the address has a typing error."
        }
        429 => "Please wait a moment, and try again.",
        500 => "Something went wrong on the server. Please try again later.",
        503 => "The server cannot send this page now. Please try again in a moment.",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::{CONTENT_SECURITY_POLICY, json, make_page as page};

    #[test]
    fn page_says_what_the_line_says() {
        let missing = page(404, "File not found");
        assert!(missing.contains("<title>File not found</title>"), "{missing}");
        assert!(missing.contains("There is no page at this address."), "{missing}");
        let malformed = page(400, "a <b> & c");
        assert!(malformed.contains("<p>a &lt;b&gt; &amp; c</p>"), "{malformed}");
        assert!(malformed.contains("<h1>Bad Request</h1>"), "{malformed}");
        assert!(page(431, "Request Header Fields Too Large").contains("431</p>\n<h1>Request"));
    }

    #[test]
    fn page_is_small_and_has_no_script() {
        for status in 400..=599 {
            let page = page(status, "x");
            assert!(page.len() < 3000 && !page.contains("<script"), "{status}: {}", page.len());
        }
        assert!(!CONTENT_SECURITY_POLICY.contains("unsafe"));
    }

    #[test]
    fn json_has_the_members_of_rfc_9457() {
        let problem = json(404, "File \"not\" found");
        let expected = serde_json::json!({"title": "Not Found", "status": 404, "detail": "File \"not\" found"});
        assert_eq!(serde_json::from_slice::<serde_json::Value>(&problem).expect("JSON"), expected);
    }
}
