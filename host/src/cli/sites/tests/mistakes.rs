//! Mistakes in sites: each is told by its line and what to write.

use super::read_with;

#[test]
fn mistakes_name_the_line_and_what_to_write() {
    let check = |text: &str, told: &[&str]| {
        let error = read_with(text, &[], &[]).expect_err(text);
        assert_eq!(error.lines().collect::<Vec<_>>(), told, "{text}");
    };
    let ok = "[[site]]\nhosts = ['a.example']\nroot = 'a'\n";
    check(
        &format!("{ok}workers = 1"),
        &[
            "a.toml:4: `workers` in [[site]] is a setting of the process (--workers), and all sites \
           share it: write it before the first table",
        ],
    );
    check(
        &format!(
            "{ok}[site.limits]\n\nrate-limit = 1\nmax-connections = 1\n[site.guest]\nstack = '1MiB'"
        ),
        &[
            "a.toml:9: `stack` in [site.guest] is a setting of the process (--guest-stack), and all \
             sites share it: move it to [guest]",
            "a.toml:7: `max-connections` in [site.limits] is a setting of the process \
             (--max-connections), and all sites share it: move it to [limits]",
        ],
    );
    check(
        &format!("{ok}host = 'a'\n[site.files]\nlistin = true\n[site.tlss]\na = 1"),
        &[
            "a.toml:6: there is no setting `listin` in [site.files]; did you mean `listing` in \
             [site.files]?",
            "a.toml:4: there is no setting `host` in [[site]]; did you mean `hosts` in [[site]]?",
            "a.toml:7: there is no table [site.tlss]; the tables of a site are [site.cache], \
             [site.files], [site.guest], [site.limits], [site.log], [site.rules], [site.tls]",
        ],
    );
    check(
        &format!("{ok}guest = 'a'"),
        &["a.toml:4: `guest` is a table: write [site.guest], and its settings beneath"],
    );
    check("[site]\nroot = 'a'", &["a.toml: [site] is for one of several: write [[site]]"]);
    check(
        "site = 1",
        &["a.toml: `site` is an array of tables: write [[site]], and its settings beneath"],
    );
    check(
        "[[site]]\nroot = 'a'",
        &["a.toml:1: a site without hosts gets no request: write hosts = [\"example.org\"], or \
           default = true for the hosts of no other site"],
    );
    check(
        "[[site]]\nhosts = ['*', 'a.example:80',\n'a b', 1]\ndefault = 'yes'\nname = 'a/b'",
        &[
            "a.toml:4: `default` is true or false",
            "a.toml:2: \"*\": a `*` stands for the whole first label, as in *.example.org; \
             default = true is for the hosts of no other site",
            "a.toml:2: \"a.example:80\" is more than a host: write the name alone, without scheme, \
             port and path; where the server listens is `listen` before the first table",
            "a.toml:3: \"a b\" is no name of a host: write several as a list: [\"a\", \"b\"]",
            "a.toml:3: 1 is no text: write a host as in \"example.org\"",
        ],
    );
    check(
        "[[site]]\nhosts = 'a.example'\nname = 'a/b'",
        &[
            "a.toml:3: the name \"a/b\" of a site: write up to 64 letters, digits, dots, dashes and \
           underscores",
        ],
    );
    check(
        &format!(
            "{ok}default = true\n[[site]]\nhosts = ['b.example', 'A.example.']\ndefault = true\n\
                  root = 'b'\nname = 'a.example'"
        ),
        &[
            "a.toml:6: a.example is a host of the site a.example already (a.toml:2)",
            "a.toml:7: another site is the default (a.toml:4); one can be",
            "a.toml:9: another site has the name a.example (a.toml:1); give this one its own with \
             name = \"\u{2026}\"",
        ],
    );
    check(
        "[[site]]\nhosts = 'a.example'",
        &["a.toml:1: the site has no root: write root = \"path/to/site\""],
    );
    check(
        &format!(
            "{ok}[site.files]\nlisting = true\nmax-listing-entries = 0\n[site.cache]\nfile-valid = '1'"
        ),
        &[
            "a.toml:6: `max-listing-entries` in [site.files]: invalid value \"0\": write a number \
             from 1 to 4294967295",
            "a.toml:8: `file-valid` in [site.cache]: invalid value \"1\": write a time as in 50ms \
             or 1s, from 0s to 1s",
        ],
    );
    check(
        &format!("{ok}[site.files]\nmax-listing-entries = 5"),
        &["a.toml:5: `max-listing-entries` in [site.files] does nothing without `listing` in \
           [site.files]: add that, or leave it out"],
    );
}

#[test]
fn forms_of_other_servers_are_told_by_what_to_write() {
    for (text, told) in [
        ("[[site]]\nserver_name = 'a.example'", "write hosts = [\"example.org\", "),
        (
            "[[site]]\nhosts = 'a.example b.example'",
            "write several as a list: [\"a.example\", \"b.example\"]",
        ),
        ("[[site]]\nhosts = '_'", "default = true is for the hosts of no other site"),
        ("[[site]]\nhosts = '~^www'", "there are no regular expressions here"),
        ("[[site]]\nhosts = '.a.example'", "write \"a.example\", \"*.a.example\""),
        ("[[site]]\nhosts = '[::1'", "an address is written as in [2001:db8::1]"),
        ("[[site]]\nhosts = '256.1.1.1'", "or an address as in 192.0.2.1"),
        ("[[site]]\nhosts = 7", "7 is no text: write a host as in \"example.org\""),
        ("[[site]]\nhosts = ['a.example', 'A.example']", "a.example is named twice: leave one out"),
        (
            "[[sites]]\nhosts = 'a.example'",
            "there is no table [sites]; write [[site]] for each site",
        ),
        ("hosts = 'a.example'", "`hosts` is of one of several sites: write it beneath [[site]]"),
        (
            "[[site]]\n[site.tls]\nlisten = 443",
            "`listen` in [site.tls] is a setting of the process (--listen), and all sites share it: \
             write it before the first table",
        ),
        ("[[site]]\n[site.redirect]\na = 1", "[site.redirect]; write redirect = [\"/old/* "),
        ("[[site]]\n[site.limits]\nburst = 1", "leave it out: a client may burst"),
        ("[[site]]\ncache-control = 'a'", "did you mean `cache-control` in [site.files]?"),
        ("a = 1\n[site.limits]\nrate-limit = 1\n[[site]]\n", "stands before the first [[site]]"),
    ] {
        let error = read_with(text, &[], &[]).expect_err(text);
        assert!(error.contains(told), "{text}: {error}");
    }
}
