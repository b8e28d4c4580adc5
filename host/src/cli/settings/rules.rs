//! `[rules]`: rules as data, for sites that need no guest of their own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::values::{cookie, rule_network, rules, time};
use crate::rules::error::place;
use crate::rules::part::{Named, Passing};
use crate::rules::{Cookie, Key, Part};

/// Rules as data.
///
/// A rule is a text, or a table in TOML: `{ from = "/a", to = "/b" }`.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Rules")]
pub struct RulesSettings {
    /// A file of rules, in TOML
    ///
    /// May be given several times. When a file changes, the new rules take over if they pass
    /// validation and the cases that they hold. Its keys are the flags beneath this heading.
    #[arg(id = "rules", long = "rules", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Do not obey the files _redirects and _headers in the root
    ///
    /// They are obeyed as Netlify and Cloudflare Pages obey them, and are not served, unless
    /// --guest names a guest.
    #[arg(long)]
    pub no_site_rules: bool,

    /// Serve this page where a path names no file [default of FILE: index.html]
    ///
    /// For apps that route in the browser. A path whose last segment has an extension is an asset,
    /// and a missing one is a 404.
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = |text: &str| rules(Key::Spa, text))]
    pub spa: Option<Part>,

    /// Serve pages at URLs without .html: never, always or either with a slash at the end
    /// [default of FORM: never]
    ///
    /// /about serves about.html or about/index.html, and the other forms of the URL are redirected
    /// to it.
    #[arg(long, value_name = "FORM", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = |text: &str| rules(Key::CleanUrls, text))]
    pub clean_urls: Option<Part>,

    /// A field of responses with files, as in '/assets/*: Cache-Control: max-age=86400'
    ///
    /// May be given several times. With `always ` before it, a field of every response, also of
    /// errors and redirects. `! Name` takes a field away that other rules add.
    #[arg(long, value_name = "PATTERN: NAME: VALUE", value_parser = |text: &str| rules(Key::Header, text))]
    pub header: Vec<Part>,

    /// A redirect or a rewrite, as a line of _redirects: '/old/* /new/:splat 301'
    ///
    /// May be given several times; the first match counts. It applies where no file is served,
    /// or always with `!` behind the status. 200 is a rewrite, 404 the page of an error.
    #[arg(long, value_name = "FROM TO STATUS", value_parser = |text: &str| rules(Key::Redirect, text))]
    pub redirect: Vec<Part>,

    /// Require a password from this file, whose lines `innkeeper password` makes
    ///
    /// For all paths, or for those of a pattern, as in '/admin/*=passwords'. May be given several
    /// times; the first match counts.
    #[arg(long, value_name = "PATTERN=FILE", value_parser = |text: &str| rules(Key::BasicAuth, text))]
    pub basic_auth: Vec<Part>,

    /// Let scripts of this origin read responses, as in `https://app.example`
    ///
    /// May be given several times. `*` is every origin. For all paths, or for those of a pattern,
    /// as in `'/api/*=https://app.example'`.
    #[arg(long, value_name = "PATTERN=ORIGIN", value_parser = |text: &str| rules(Key::Cors, text))]
    pub cors: Vec<Part>,

    /// Respond to no other clients than those of this network; others get 403
    ///
    /// May be given several times, or with commas. For all paths, or for those of a pattern, as in
    /// '/admin/*=10.0.0.0/8'.
    #[arg(long, value_name = "PATTERN=NETWORK", value_parser = |text: &str| rules(Key::AllowFrom, text))]
    pub allow_from: Vec<Part>,

    /// Respond with 403 to clients of this network
    ///
    /// As --allow-from; it counts before that.
    #[arg(long, value_name = "PATTERN=NETWORK", value_parser = |text: &str| rules(Key::DenyFrom, text))]
    pub deny_from: Vec<Part>,

    /// Respond to requests from pages of this host alone, by Referer; others get 403
    ///
    /// May be given several times, or with commas: '/images/*=example.org,*.example.org'. Requests
    /// without the field are responded to.
    #[arg(long, value_name = "PATTERN=HOST", value_parser = |text: &str| rules(Key::AllowReferer, text))]
    pub allow_referer: Vec<Part>,

    /// Respond to this method; others get 405
    ///
    /// May be given several times, or with commas.
    #[arg(long, value_name = "METHOD", value_parser = |text: &str| rules(Key::AllowMethod, text))]
    pub allow_method: Vec<Part>,

    /// Respond with 503, and with this page if one is named
    #[arg(long, value_name = "PAGE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = |text: &str| rules(Key::Maintenance, text))]
    pub maintenance: Option<Part>,

    /// Time after which clients should come again to a site in maintenance [default: 5min]
    #[arg(long, value_name = "TIME", value_parser = time::<1_000, 604_800_000>)]
    pub maintenance_retry_after: Option<Duration>,

    /// Clients of this network pass maintenance
    ///
    /// May be given several times.
    #[arg(long, value_name = "NETWORK", value_parser = rule_network)]
    pub maintenance_pass: Vec<String>,

    /// Clients with this cookie pass maintenance
    #[arg(long, value_name = "NAME=VALUE", value_parser = cookie)]
    pub maintenance_cookie: Option<Cookie>,

    /// Send fields that restrict what browsers do with pages: nosniff, frames, referrer
    ///
    /// X-Content-Type-Options, X-Frame-Options and Referrer-Policy on every response. With
    /// coop, coep, corp or csp, parted by commas, also Cross-Origin-Opener-Policy,
    /// Cross-Origin-Embedder-Policy, Cross-Origin-Resource-Policy and Content-Security-Policy. A
    /// --header replaces a field of the same name.
    #[arg(long, value_name = "MORE", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = |text: &str| rules(Key::SecurityHeaders, text))]
    pub security_headers: Option<Part>,

    /// The request field in which a proxy names the client's country, for conditions of redirects
    #[arg(long, value_name = "NAME", value_parser = |text: &str| rules(Key::CountryField, text), hide_short_help = true)]
    pub country_field: Option<Part>,

    /// Where the values come from.
    #[arg(skip)]
    pub origins: Vec<RuleOrigin>,
}

impl RulesSettings {
    /// The rules of the flags and of their keys, with their sources. Those of files are not among
    /// them.
    pub fn named(&self) -> Vec<Named> {
        let parts: [(Key, &[Part]); 13] = [
            (Key::DenyFrom, &self.deny_from),
            (Key::AllowFrom, &self.allow_from),
            (Key::AllowReferer, &self.allow_referer),
            (Key::AllowMethod, &self.allow_method),
            (Key::Maintenance, self.maintenance.as_slice()),
            (Key::BasicAuth, &self.basic_auth),
            (Key::Cors, &self.cors),
            (Key::Redirect, &self.redirect),
            (Key::CleanUrls, self.clean_urls.as_slice()),
            (Key::Spa, self.spa.as_slice()),
            (Key::SecurityHeaders, self.security_headers.as_slice()),
            (Key::Header, &self.header),
            (Key::CountryField, self.country_field.as_slice()),
        ];
        let with_source = |(key, parts): (Key, &[Part])| {
            let origin = self.origins.iter().find(|origin| origin.key == key.name());
            let numbered = parts.iter().enumerate().map(|(at, part)| {
                // Several values of a flag are counted, as lines are.
                let counted = if parts.len() > 1 { u32::try_from(at + 1).ok() } else { None };
                let line = origin.and_then(|origin| origin.lines.get(at).copied()).or(counted);
                let source = match origin {
                    Some(origin) => origin.source.clone(),
                    None => format!("--{}", key.name()),
                };
                Named { source, part: part.clone().at(line.unwrap_or_default()) }
            });
            numbered.collect::<Vec<_>>()
        };
        parts.into_iter().flat_map(with_source).filter(|named| !named.part.is_empty()).collect()
    }

    /// The flags, variables and files that state rules, or name files of them.
    pub fn stated(&self) -> impl Iterator<Item = String> {
        let origin = self.origins.iter().find(|origin| origin.key == "file");
        let files = origin.map_or("--rules", |origin| &origin.source).to_owned();
        let files = (!self.files.is_empty()).then_some(files);
        let named = self.named().into_iter().map(|named| place(&named.source, named.line()));
        files.into_iter().chain(named)
    }

    /// Who passes maintenance, and when others should come again.
    pub fn passing(&self) -> Passing {
        Passing {
            networks: self.maintenance_pass.clone(),
            cookie: self.maintenance_cookie.clone(),
            retry_after: self.maintenance_retry_after,
        }
    }
}

/// Where the values of one setting come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleOrigin {
    /// The key.
    pub key: String,
    /// The flag, the variable or the file.
    pub source: String,
    /// The lines in the file, one for each value.
    pub lines: Vec<u32>,
}
