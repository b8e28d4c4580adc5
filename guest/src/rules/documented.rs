//! Examples of the manuals of Netlify and Cloudflare Pages: the text of their files, requests, and
//! what is decided.

use super::table::Table;
use super::testing::{check, ready};
use super::{Rules, headers_file, redirects_file};

/// The rules of these two files.
#[track_caller]
fn rules(redirects: &str, headers: &str) -> Rules {
    let routes = redirects_file::parse(redirects.as_bytes(), 0);
    let headers = headers_file::parse(headers.as_bytes(), 1);
    ready(&Table {
        routes: routes.unwrap_or_else(|faults| panic!("{faults:?}")),
        headers: headers.unwrap_or_else(|faults| panic!("{faults:?}")),
        country_field: Some("x-country".to_owned()),
        ..Table::default()
    })
}

#[test]
fn netlify_redirects() {
    let rules = rules(
        "# Redirects from what the browser requests to what we serve\n\
         /home              /\n\
         /blog/my-post.php  /blog/my-post\n\
         /cuties            https://www.petsofnetlify.com\n\
         /authors/c%C3%A9line /authors/about-c%C3%A9line\n\
         /my-redirect  /              302\n\
         /ecommerce    /store-closed  404\n\
         /pass-through /index.html    200\n\
         /articles id=:id tag=:tag /posts/:tag/:id 301\n\
         /store id=:id  /blog/:id  301\n\
         /news/:month/:date/:year/:slug  /blog/:year/:month/:date/:slug\n\
         /news/*  /blog/:splat\n\
         http://blog.yoursite.com/*  https://www.yoursite.com/blog/:splat 301!\n\
         /  /anz     302  Country=au,nz\n\
         /israel/*  /israel/he/:splat  302  Country=il Language=he\n\
         /app/*  /app/index.html  200!\n",
        "",
    );
    for (target, expected) in [
        ("/home", r#"serve file "home", otherwise redirect 301 to "/""#),
        ("/home?a=b", r#"serve file "home", otherwise redirect 301 to "/?a=b""#),
        (
            "/authors/c%C3%A9line",
            r#"serve file "authors/céline", otherwise redirect 301 to "/authors/about-c%C3%A9line""#,
        ),
        (
            "/cuties",
            r#"serve file "cuties", otherwise redirect 301 to "https://www.petsofnetlify.com""#,
        ),
        (
            "/articles?id=7&tag=a",
            r#"serve file "articles", otherwise redirect 301 to "/posts/a/7""#,
        ),
        ("/store?id=7", r#"serve file "store", otherwise redirect 301 to "/blog/7""#),
        ("/store", r#"file "store""#),
        (
            "/news/02/12/2004/my-story",
            r#"serve file "news/02/12/2004/my-story", otherwise redirect 301 to "/blog/2004/02/12/my-story""#,
        ),
        ("/news/a/b", r#"serve file "news/a/b", otherwise redirect 301 to "/blog/a/b""#),
        (
            "/app/x",
            r#"serve file "app/index.html", file "app/index.html.html", index "app/index.html""#,
        ),
    ] {
        let got = decided(&rules, target, &[]);
        assert_eq!(got, expected, "{target}");
    }
    check(
        &rules,
        "/x",
        &[("host", "blog.yoursite.com"), (":scheme", "http")],
        r#"redirect 301 to "https://www.yoursite.com/blog/x""#,
    );
    let got = decided(&rules, "/", &[("x-country", "NZ")]);
    assert!(got.contains(r#"otherwise redirect 302 to "/anz""#), "{got}");
    let he = [("x-country", "IL"), ("accept-language", "he-IL,en;q=0.5")];
    let got = decided(&rules, "/israel/a", &he);
    assert!(got.contains(r#"otherwise redirect 302 to "/israel/he/a""#), "{got}");
}

/// The decision in words.
fn decided(rules: &Rules, target: &str, fields: &[(&str, &str)]) -> String {
    let fields = fields.iter().map(|&(name, value)| crate::Field::new(name, value)).collect();
    let request = crate::Request::new(format!("GET {target} HTTP/1.1"), fields);
    crate::testing::lend::lend(&rules.decide(&request)).in_full().to_string()
}

#[test]
fn cloudflare_redirects() {
    let rules = rules(
        "/home301 / 301\n\
         /home302 / 302\n\
         /querystrings /?query=string 301\n\
         /twitch https://twitch.tv\n\
         /trailing /trailing/ 301\n\
         /notrailing/ /nottrailing 301\n\
         /page/ /page2/#fragment 301\n\
         /blog/* https://blog.my.domain/:splat\n\
         /products/:code/:name /products?code=:code&name=:name\n\
         /a /b 200\n\
         /b /c 200\n",
        "",
    );
    for (target, expected) in [
        ("/home302", r#"serve file "home302", otherwise redirect 302 to "/""#),
        (
            "/querystrings?a=b",
            r#"serve file "querystrings", otherwise redirect 301 to "/?query=string""#,
        ),
        ("/trailing", r#"serve file "trailing", otherwise redirect 301 to "/trailing/""#),
        ("/trailing/", r#"index "trailing""#),
        ("/page/", r#"serve index "page", otherwise redirect 301 to "/page2/#fragment""#),
        (
            "/blog/2026/x",
            r#"serve file "blog/2026/x", otherwise redirect 301 to "https://blog.my.domain/2026/x""#,
        ),
        (
            "/products/1/a%26b",
            r#"serve file "products/1/a&b", otherwise redirect 301 to "/products?code=1&name=a%26b""#,
        ),
        // Only one rule counts for a request.
        ("/a", r#"serve file "a", file "b", file "b.html", index "b""#),
    ] {
        assert_eq!(decided(&rules, target, &[]), expected, "{target}");
    }
}

#[test]
fn cloudflare_headers() {
    let rules = rules(
        "",
        "# This is a comment\n\
         /secure/page\n  X-Frame-Options: DENY\n  Referrer-Policy: no-referrer\n\n\
         /static/*\n  Access-Control-Allow-Origin: *\n  X-Robots-Tag: nosnippet\n\n\
         https://:project.pages.dev/*\n  X-Robots-Tag: noindex\n  X-Project: :project\n\n\
         /movies/:title\n  x-movie-name: You are watching \":title\"\n\
         /*\n  Content-Security-Policy: default-src 'self';\n\
         /*.jpg\n  ! Content-Security-Policy\n",
    );
    for (target, host, expected) in [
        (
            "/secure/page",
            "custom.domain",
            &["X-Frame-Options: DENY", "Referrer-Policy: no-referrer"][..],
        ),
        ("/static/image.jpg", "custom.domain", &["X-Robots-Tag: nosnippet"]),
        ("/home", "myproject.pages.dev", &["X-Robots-Tag: noindex", "X-Project: myproject"]),
        ("/static/styles.css", "a.pages.dev", &["X-Robots-Tag: nosnippet, noindex"]),
        ("/movies/dune", "custom.domain", &[r#"x-movie-name: You are watching "dune""#]),
    ] {
        let got = decided(&rules, target, &[("host", host)]).to_lowercase();
        for field in expected {
            assert!(got.contains(&field.to_lowercase()), "{target}: {got}\n{field}");
        }
        let is_image = target.ends_with(".jpg");
        assert_eq!(got.contains("content-security-policy"), !is_image, "{target}: {got}");
    }
    let got = decided(&rules, "/static/image.jpg", &[("host", "custom.domain")]);
    assert!(!got.contains("noindex"), "{got}");
}
