//! Sections of the manual page that the definition of the command line does not know.

use std::io;

use clap_mangen::roff::{Roff, bold, roman};

/// A section: paragraphs, separated by empty lines, and then a list.
pub(super) struct Section<'a> {
    pub(super) title: &'a str,
    pub(super) text: &'a str,
    pub(super) list: &'a [(&'a str, &'a str)],
}

/// What the program does.
pub(super) const DESCRIPTION: Section<'_> = Section {
    title: "DESCRIPTION",
    text: "innkeeper serves the files beneath ROOT over HTTP/1.1 and HTTP/2, with TLS if it has a \
        certificate. A guest, a WebAssembly component in a sandbox, decides about each request: a file, a \
        redirect, a small response of its own, or 404.\n\n\
        Without --guest the built-in policy decides: / and paths that end in / are index pages, other \
        paths are files, and names that begin with a dot are private. With rules, which are flags, \
        files, or _redirects and _headers in ROOT, another built-in guest decides by them.\n\n\
        Once its files and sockets are open the process enters a sandbox (Landlock and seccomp). Guests, \
        rules and certificates are taken over when their files change; settings need a restart.",
    list: &[],
};

/// What is behind the options.
pub(super) const OF_THE_PROGRAM: [&Section<'_>; 4] = [&EXIT_STATUS, &ENVIRONMENT, &FILES, &SIGNALS];

const EXIT_STATUS: Section<'_> = Section {
    title: "EXIT STATUS",
    text: "",
    list: &[
        ("0", "It was stopped by a signal, or --check found nothing wrong."),
        (
            "1",
            "Something keeps it from serving, or --check found it; one line says what, and what to do.",
        ),
        ("2", "The command line, a variable or the configuration is wrong; nothing was opened."),
        ("130", "A second signal ended it at once."),
    ],
};

/// Of a command.
pub(super) const EXIT_STATUS_OF_A_COMMAND: Section<'_> = Section {
    title: "EXIT STATUS",
    text: "0 if it did its work and found nothing wrong, 2 for a wrong command line, otherwise 1, with a \
        line that says what to do.",
    list: &[],
};

const ENVIRONMENT: Section<'_> = Section {
    title: "ENVIRONMENT",
    text: "Each option of a server is also a variable: --log-format json is INNKEEPER_LOG_FORMAT=json. A \
        switch is true or false, and --no-x sets x: INNKEEPER_COMPRESS=false. Several values are \
        separated by ;, and those of rules by line ends. The command line takes precedence over the \
        environment, and the environment over the file that --config names.",
    list: &[
        ("INNKEEPER_CONFIG", "The configuration file, as --config."),
        (
            "RUST_LOG",
            "Levels of diagnostics for each module, in place of --log-level: info,innkeeper::guest=debug.",
        ),
        (
            "XDG_CACHE_HOME, CACHE_DIRECTORY",
            "Where compiled guests are kept, unless --code-cache says so; the latter is systemd's.",
        ),
        (
            "LISTEN_FDS, LISTEN_FDNAMES, LISTEN_PID",
            "Sockets that systemd passes; they are used in place of --listen and --listen-tls. Those named \
            https are for TLS.",
        ),
        (
            "NOTIFY_SOCKET, WATCHDOG_USEC",
            "systemd's: readiness, and a sign of life of all workers.",
        ),
    ],
};

const FILES: Section<'_> = Section {
    title: "FILES",
    text: "",
    list: &[
        (
            "ROOT/index.html, ROOT/index.htm",
            "The page of a directory. Without one it is 404, or a list with --listing.",
        ),
        ("ROOT/404.html", "The page of what is not found; the nearest one up the tree counts."),
        ("ROOT/_redirects, ROOT/_headers", "Rules of the site. They are not served."),
        (
            "FILE.br, FILE.zst, FILE.gz",
            "Ready-made forms of FILE, sent to clients that accept them, unless they are older.",
        ),
        (
            "~/.cache/innkeeper/",
            "Compiled guests. It may be removed. No other user may be able to write there.",
        ),
        (
            "/etc/innkeeper/innkeeper.toml",
            "The configuration of the service that the Debian package installs.",
        ),
        ("/run/innkeeper/admin", "The socket of its administration."),
        ("/var/log/innkeeper/access.log", "Its access log, which logrotate rotates."),
    ],
};

const SIGNALS: Section<'_> = Section {
    title: "SIGNALS",
    text: "",
    list: &[
        (
            "SIGTERM, SIGINT",
            "Stop: no connection is accepted any more, and requests in flight are finished, for at most \
            --stop-timeout. A second one ends the process at once, with exit status 130.",
        ),
        (
            "SIGHUP",
            "Read guest, data, cases, rules and certificates again, also if they were rejected before.",
        ),
        ("SIGUSR1", "Open the file of the access log again."),
    ],
};

/// Writes a section.
pub(super) fn write(section: &Section<'_>, page: &mut Vec<u8>) -> io::Result<()> {
    write_list(section.title, section.text, section.list.iter().copied(), page)
}

/// Writes a section: paragraphs, and names with what they are.
pub(super) fn write_list<'a>(
    title: &str,
    text: &str,
    list: impl Iterator<Item = (&'a str, &'a str)>,
    page: &mut Vec<u8>,
) -> io::Result<()> {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (number, paragraph) in text.split("\n\n").filter(|it| !it.is_empty()).enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(paragraph)]);
    }
    for (name, what) in list {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(what)]);
    }
    page.extend(roff.render().into_bytes());
    Ok(())
}
