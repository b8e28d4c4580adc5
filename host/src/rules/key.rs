//! What a rule is about: the name of a flag, and a key of a file.

/// What a rule is about: the name of a flag, and a key of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// Clients of these networks are let in.
    AllowFrom,
    /// These methods are allowed.
    AllowMethod,
    /// Requests from pages of these hosts are let in.
    AllowReferer,
    /// Passwords.
    BasicAuth,
    /// URLs without the extension of a page.
    CleanUrls,
    /// Origins that may read responses.
    Cors,
    /// The request field that names the client's country.
    CountryField,
    /// Clients of these networks are not let in.
    DenyFrom,
    /// Fields of responses.
    Header,
    /// The site is closed.
    Maintenance,
    /// Redirects and rewrites.
    Redirect,
    /// The usual fields of responses that restrict browsers.
    SecurityHeaders,
    /// The page of an app that routes in the browser.
    Spa,
}

impl Key {
    /// All of them, in the order of their names.
    pub const ALL: [Key; 13] = [
        Key::AllowFrom,
        Key::AllowMethod,
        Key::AllowReferer,
        Key::BasicAuth,
        Key::CleanUrls,
        Key::Cors,
        Key::CountryField,
        Key::DenyFrom,
        Key::Header,
        Key::Maintenance,
        Key::Redirect,
        Key::SecurityHeaders,
        Key::Spa,
    ];

    /// Its name in a file.
    pub fn name(self) -> &'static str {
        match self {
            Key::AllowFrom => "allow-from",
            Key::AllowMethod => "allow-method",
            Key::AllowReferer => "allow-referer",
            Key::BasicAuth => "basic-auth",
            Key::CleanUrls => "clean-urls",
            Key::Cors => "cors",
            Key::CountryField => "country-field",
            Key::DenyFrom => "deny-from",
            Key::Header => "header",
            Key::Maintenance => "maintenance",
            Key::Redirect => "redirect",
            Key::SecurityHeaders => "security-headers",
            Key::Spa => "spa",
        }
    }

    /// The key of this name.
    pub(super) fn from_name(name: &str) -> Option<Key> {
        Key::ALL.into_iter().find(|key| key.name() == name)
    }
}
