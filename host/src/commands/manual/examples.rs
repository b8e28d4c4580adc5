//! Examples of each command, for its manual page.

type Example = (&'static str, &'static str);

const OF_THE_PROGRAM: &[Example] = &[
    ("innkeeper site --listen 0.0.0.0:8080 --listen [::]:8080", "Serve a directory to all."),
    ("innkeeper dist --spa", "Serve an app that routes in the browser."),
    ("innkeeper site --self-signed", "Serve over https, for development."),
    (
        "innkeeper site --listen 0.0.0.0:80 --listen-tls 0.0.0.0:443 --redirect-to-https \
        --tls-certificate fullchain.pem --tls-key privkey.pem",
        "Serve over https with a certificate, and redirect http there.",
    ),
    (
        "innkeeper site --guest policy.wasm --cases cases.toml --admin 127.0.0.1:7891 --admin-token-file token",
        "Let a guest decide, which must pass its cases; with health, metrics and a page for operators.",
    ),
    ("innkeeper --config innkeeper.toml --check", "Check a configuration, and all that it names."),
    ("INNKEEPER_LISTEN=127.0.0.1:8080 innkeeper site", "Set an option by the environment."),
];

/// Those of a command, or of the program.
pub(super) fn of(command: Option<&str>) -> &'static [Example] {
    match command {
        None => OF_THE_PROGRAM,
        Some("new") => &[
            ("innkeeper new my-policy --lang js", "Create a project for a guest in JavaScript."),
            (
                "innkeeper new my-policy --from-rules rules.toml",
                "Go on in Rust from where rules end.",
            ),
        ],
        Some("test") => &[
            ("innkeeper test policy.wasm cases.toml", "Run cases against a guest."),
            ("innkeeper test --rules rules.toml", "Run those that a file of rules holds."),
            ("innkeeper test policy.wasm cases.toml --format json", "The same, for programs."),
        ],
        Some("check") => &[
            (
                "innkeeper check policy.wasm --cases cases.toml",
                "Validate a guest as a server would.",
            ),
            (
                "innkeeper check --root public",
                "Check the rules of a site, and warn of those without effect.",
            ),
        ],
        Some("compile") => &[(
            "innkeeper compile policy.wasm --code-cache /var/cache/innkeeper",
            "Have the next start find the compiled guest.",
        )],
        Some("bake") => &[
            (
                "innkeeper bake policy.wasm redirects.toml --output site.wasm",
                "Put data into a guest.",
            ),
            (
                "innkeeper bake --root public --output site.wasm",
                "Make one guest of the rules of a site.",
            ),
        ],
        Some("explain") => &[
            ("innkeeper explain 'GET /old HTTP/1.1' --root public", "Why a site responds so."),
            (
                "innkeeper explain policy.wasm 'GET / HTTP/1.1' -H 'Accept-Language: de' --https",
                "What a guest makes of a field, over TLS.",
            ),
        ],
        Some("password") => &[
            ("innkeeper password alice >> passwords", "Ask for a password, and add its user."),
            ("printf %s secret | innkeeper password alice", "Read it."),
        ],
        Some("dev") => &[(
            "innkeeper dev html --guest policy.wasm --build ./build.sh",
            "Build and swap the guest at each save, and reload pages.",
        )],
        Some("acme") => &[
            ("innkeeper acme --dry-run example.org", "Try whether a certificate would come."),
            ("innkeeper acme --dry-run --config site.toml", "The same for a configuration."),
        ],
        Some("health") => &[
            ("innkeeper health 127.0.0.1:7891", "Ask a server, for a container without curl."),
            ("innkeeper health unix:/run/innkeeper/admin", "The same over a Unix socket."),
        ],
        Some("completions") => &[(
            "innkeeper completions bash > /etc/bash_completion.d/innkeeper",
            "Complete this command line in bash.",
        )],
        Some("man") => &[
            ("innkeeper man | man -l -", "Show the page of the program."),
            (
                "innkeeper man explain > /usr/local/share/man/man1/innkeeper-explain.1",
                "Install one.",
            ),
        ],
        Some(_) => &[],
    }
}
