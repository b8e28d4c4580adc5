//! A tour of the contract: a guest that makes every kind of decision once. Copy the
//! one that your guest needs.

use innkeeper_guest::{Candidate, Decision, Policy, Redirect, Reply, Request, Serve, Target};

/// The policy.
#[derive(Debug)]
pub struct Tour;

impl Policy for Tour {
    const INTERESTS: &'static [&'static str] = &[
        "User-Agent",
        ":client-address",
        ":scheme",
        ":protocol",
        ":tls-version",
        ":tls-server-name",
        ":client-certificate",
        ":client-name",
    ];

    fn decide(request: &Request) -> Decision {
        let path = match request.parse().map(|line| line.target) {
            Ok(Target::Origin { path, .. } | Target::Absolute { path, .. }) => path,
            _ => "",
        };
        match path {
            // The short forms.
            "/" => Decision::index(""),
            "/hello" => Decision::file("hello.txt"),
            "/nowhere" => Decision::NotFound,
            // A clean URL: the first candidate that exists. One has a field of its own, and every
            // response has one, also a 404.
            "/docs" => Serve::first_of([
                Candidate::file("docs"),
                Candidate::file("docs.html"),
                Candidate::index("docs").with("Cache-Control", "max-age=60"),
            ])
            .with("Content-Security-Policy", "default-src 'self'")
            .into(),
            // Another URL of a page leads to the first one, if there is such a page.
            "/hello.txt" => Candidate::file("hello.txt").moved(301, "/hello").into(),
            "/missing.txt" => Candidate::file("missing.txt").moved(301, "/missing").into(),
            // What has moved away, if nothing has taken its place.
            "/blog" => Serve::one(Candidate::file("blog.html"))
                .otherwise(Redirect::new(302, "https://blog.example.org/"))
                .into(),
            // Nothing, with a field.
            "/secret" => Serve::nothing().with("Cache-Control", "no-store").into(),
            // No candidate exists, and one is a directory.
            "/bare" => {
                Serve::first_of([Candidate::file("bare"), Candidate::file("bare.html")]).into()
            }
            // A file with a media type and a lifetime of our own.
            "/typed" => Candidate::file("hello.txt")
                .with("Content-Type", "text/x-typed")
                .with("Cache-Control", "max-age=60")
                .into(),
            // A page that explains an error, and a media type of our own.
            "/gone" => Candidate::file("hello.txt")
                .status(410)
                .with("content-type", "text/x-farewell")
                .into(),
            "/old" => Redirect::new(308, "/new?from=old").with("Cache-Control", "no-store").into(),
            // What the policy sees of the request.
            "/whoami" => {
                let lines = request
                    .fields()
                    .iter()
                    .flat_map(|field| [field.name.as_bytes(), b"=", &field.value, b"\n"].concat());
                Reply::text(200, lines.collect::<Vec<_>>()).with("Vary", "User-Agent").into()
            }
            _ => Reply::text(204, "").into(),
        }
    }
}

innkeeper_guest::export!(Tour);

#[cfg(test)]
mod tests {
    use super::Tour;
    use innkeeper_guest::testing::check_cases;

    #[test]
    fn cases_pass() {
        check_cases::<Tour>(include_str!("../cases.toml"));
    }
}
