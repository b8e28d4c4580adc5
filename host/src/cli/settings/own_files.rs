//! The files that settings name and the server itself uses: clients get none of them.
//!
//! Those that a file of rules names are not among them: it may change while the server runs, and
//! `rules` hides them.

use std::collections::HashSet;
use std::path::Path;

use super::{Settings, SiteSettings};
use crate::files::{Options, OwnFile};

impl Settings {
    /// How the files of a site are served.
    pub fn file_options(&self, site: &SiteSettings) -> Options {
        Options { cache_valid: site.cache.file_valid, ..site.files.options() }
    }

    /// The files and directories that the server itself uses: those of the process and of all sites.
    pub fn own_files(&self) -> Vec<OwnFile> {
        let (mut all, mut seen) = (Vec::new(), HashSet::new());
        let mut note = |flag, path: &Path, is_log| {
            // There may be a thousand sites.
            if seen.insert((flag, path.to_owned())) {
                all.push(OwnFile { flag, path: path.to_owned(), is_log });
            }
        };
        let code = self.code_directory();
        let acme = self.orders_certificates().then(|| self.acme_directory()).flatten();
        for (flag, path) in [
            ("--config", &self.config),
            ("--client-bucket-key", &self.guest.client_bucket_key),
            ("--code-cache", &code),
            ("--acme-state", &acme),
            ("--acme-ca-file", &self.acme.ca_file),
            ("--acme-eab-key-file", &self.acme.eab_key_file),
            ("--tls-client-ca", &self.tls.client_ca),
            ("--admin-token-file", &self.admin.token_file),
        ] {
            path.iter().for_each(|path| note(flag, path, false));
        }
        for site in std::iter::once(&self.site).chain(&self.sites) {
            let SiteSettings { guest, rules, tls, log, .. } = site;
            guest.file.iter().for_each(|path| note("--guest", path, false));
            guest.data.iter().for_each(|path| note("--data", path, false));
            guest.cases.iter().for_each(|path| note("--cases", path, false));
            rules.files.iter().for_each(|path| note("--rules", path, false));
            let passwords = rules.basic_auth.iter().flat_map(|part| &part.user_files);
            passwords.for_each(|(_, path)| note("--basic-auth", path, false));
            tls.certificates.iter().for_each(|path| note("--tls-certificate", path, false));
            tls.keys.iter().for_each(|path| note("--tls-key", path, false));
            log.access_file.iter().for_each(|path| note("--access-log-file", path, true));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::any::TypeId;
    use std::path::{Path, PathBuf};

    use clap::{CommandFactory, Parser};

    use crate::cli::Arguments;
    use crate::cli::key::flag;

    /// Settings that name files which the server may send, or which are hidden elsewhere.
    const OTHERS: [(&str, &str); 6] = [
        ("root", "what is served"),
        ("allow-read", "a directory of many uses; what is in it has settings of its own"),
        ("listen", "a socket is never sent"),
        ("admin", "a socket is never sent"),
        ("spa", "a page of the site"),
        ("redirect-to-https", "paths of URLs"),
    ];

    /// What a setting is typed with beside it.
    const NEEDED: [(&str, &[&str]); 2] = [
        ("acme-state", &["--acme", "example.org"]),
        ("acme-eab-key-file", &["--acme-eab-kid", "1"]),
    ];

    #[test]
    fn each_setting_that_names_a_file_is_hidden_or_says_why_not() {
        let command = Arguments::command();
        let mut hidden = 0;
        for argument in command.get_arguments() {
            let names = argument.get_value_names().unwrap_or_default();
            let means = |word: &&str| names.iter().any(|name| name.contains(*word));
            let is_path = argument.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            if !is_path && !["FILE", "DIR", "PATH"].iter().any(means) {
                continue;
            }
            let name = flag(argument);
            if OTHERS.iter().any(|(other, _)| *other == name) {
                continue;
            }
            let more = NEEDED.iter().find(|(needs, _)| *needs == name);
            let more = more.map_or(&[][..], |(_, more)| more);
            let option = format!("--{name}");
            let value = if name == "basic-auth" { "/*=site/own" } else { "site/own" };
            let typed = [&["innkeeper", &option, value], more].concat();
            let settings = match Arguments::try_parse_from(typed) {
                Ok(arguments) => arguments.serve,
                Err(error) => panic!("{option}: {error}"),
            };
            let own = settings.own_files();
            let own = own.iter().find(|own| own.path == Path::new("site/own"));
            let own = own.unwrap_or_else(|| {
                panic!("{option} names a file that is served where it lies beneath the root")
            });
            assert_eq!(own.flag, option);
            hidden += 1;
        }
        assert_eq!(hidden, 16);
    }
}
