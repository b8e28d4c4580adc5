//! What tells two versions of a file apart, whatever tool put the second in the place of the
//! first: never a date that they share.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use innkeeper::files::Options;

use crate::fixture::{Client, Reply, Setup, TestServer};

/// A tool: how the first version comes to be, in a folder of its own as the file `page`, and
/// how the second, which is longer and contains `second`, takes its place.
struct Tool {
    name: &'static str,
    first: &'static str,
    then: &'static str,
    /// Whether the first version gets a date.
    is_dated: bool,
}

const PLAIN: &str = "printf 'the first' > page";

/// Programs that not every machine has are looked for; what they do to the two times of a file
/// is done in other rows without them.
const TOOLS: [Tool; 22] = [
    Tool {
        name: "a plain write",
        first: PLAIN,
        then: "printf 'the second, longer' > page",
        is_dated: true,
    },
    Tool {
        name: "touch -r",
        first: PLAIN,
        then: "cp -p page old; printf 'the second, longer' > page; touch -r old page",
        is_dated: true,
    },
    Tool {
        name: "touch -d",
        first: "printf 'the first' > page; touch -d @1600000000 page",
        then: "printf 'the second, longer' > page; touch -d @1600000000 page",
        is_dated: false,
    },
    Tool {
        name: "cp -p",
        first: PLAIN,
        then: "printf 'the second, longer' > new; touch -r page new; cp -p new page",
        is_dated: true,
    },
    Tool {
        name: "mv of the same time",
        first: PLAIN,
        then: "printf 'the second, longer' > new; touch -r page new; mv new page",
        is_dated: true,
    },
    Tool {
        name: "mv of an older file",
        first: PLAIN,
        then: "printf 'the second, longer' > new; touch -d @1500000000 new; mv new page",
        is_dated: true,
    },
    Tool {
        name: "rollback by cp -p",
        first: "printf 'the second, longer' > backup; touch -d @1500000000 backup; \
                printf 'the first' > page",
        then: "cp -p backup page",
        is_dated: true,
    },
    Tool {
        name: "ln -f",
        first: PLAIN,
        then: "printf 'the second, longer' > new; touch -r page new; ln -f new page",
        is_dated: true,
    },
    Tool {
        name: "ln -sfn between releases",
        first: "mkdir 1 2; printf 'the first' > 1/page; touch -d @1600000000 1/page; \
                printf 'the second, longer' > 2/page; touch -d @1600000000 2/page; \
                ln -s 1/page page",
        then: "ln -sfn 2/page page",
        is_dated: false,
    },
    Tool {
        name: "ln -sfn between files of the same second",
        first: "mkdir 1 2; printf 'the first' > 1/page; printf 'the second, longer' > 2/page; \
                touch -d @$(date +%s) 1/page; touch -r 1/page 2/page; ln -s 1/page page",
        then: "ln -sfn 2/page page",
        is_dated: true,
    },
    Tool {
        name: "ln -sfn between folders of the same second",
        first: "mkdir 1 2; printf 'the first' > 1/page; printf 'the second, longer' > 2/page; \
                touch -d @$(date +%s) 1/page; touch -r 1/page 2/page; \
                ln -s 1 current; ln -s current/page page",
        then: "ln -sfn 2 current",
        is_dated: true,
    },
    Tool {
        name: "mv of folders of the same second",
        first: "mkdir 1 2; printf 'the first' > 1/page; printf 'the second, longer' > 2/page; \
                touch -d @$(date +%s) 1/page; touch -r 1/page 2/page; ln -s 1/page page",
        then: "mv 1 old; mv 2 1",
        is_dated: true,
    },
    Tool {
        name: "tar x",
        first: PLAIN,
        then: "mkdir new; printf 'the second, longer' > new/page; touch -r page new/page; \
               tar -C new -cf - page | tar xf -",
        is_dated: true,
    },
    Tool {
        name: "tar x of both (an image's layers)",
        first: "mkdir a; printf 'the first' > a/page; touch -d @1600000000 a/page; \
                tar -C a -cf - page | tar xf -",
        then: "printf 'the second, longer' > a/page; touch -d @1600000000 a/page; \
               tar -C a -cf - page | tar xf -",
        is_dated: false,
    },
    Tool {
        name: "npm",
        first: "mkdir a; printf 'the first' > a/page; \
                tar -C a --mtime=@499162500 -cf - page | tar xf -",
        then: "printf 'the second, longer' > a/page; \
               tar -C a --mtime=@499162500 -cf - page | tar xf -",
        is_dated: false,
    },
    Tool {
        name: "Nix",
        first: "printf 'the first' > page; touch -d @1 page",
        then: "printf 'the second, longer' > new; touch -d @1 new; mv new page",
        is_dated: false,
    },
    Tool {
        name: "OSTree",
        first: "printf 'the first' > page; touch -d @0 page",
        then: "printf 'the second, longer' > new; touch -d @0 new; ln -f new page",
        is_dated: false,
    },
    Tool {
        name: "a time in the future",
        first: "printf 'the first' > page; touch -d '2100-01-01' page",
        then: "printf 'the second, longer' > page; touch -d '2100-01-01' page",
        is_dated: false,
    },
    Tool {
        name: "rsync -t",
        first: PLAIN,
        then: "printf 'the second, longer' > new; touch -r page new; \
               command -v rsync >/dev/null && rsync -t new page || cp -p new page",
        is_dated: true,
    },
    Tool {
        name: "rsync -t of both",
        first: "printf 'the first' > new; touch -d @1600000000 new; \
                command -v rsync >/dev/null && rsync -t new page || cp -p new page",
        then: "printf 'the second, longer' > new; touch -d @1600000000 new; \
               command -v rsync >/dev/null && rsync -t new page || cp -p new page",
        is_dated: false,
    },
    Tool {
        name: "unzip -o",
        first: "mkdir a; printf 'the first' > page; touch -d @1600000000 page",
        then: "printf 'the second, longer' > a/page; touch -d @1600000001 a/page; cd a; \
               command -v zip unzip >/dev/null && zip -qX ../a.zip page && unzip -qo ../a.zip -d .. \
               || cp -p page ..",
        is_dated: false,
    },
    Tool {
        name: "git checkout",
        first: "export GIT_CONFIG_GLOBAL=/dev/null GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@a \
                GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@a; \
                printf 'the second, longer' > page; \
                if command -v git >/dev/null; then git init -q .; git add page; \
                git commit -qm second; fi; rm page; printf 'the first' > page",
        then: "command -v git >/dev/null && git checkout -q -- page \
               || printf 'the second, longer' > page",
        is_dated: true,
    },
];

fn shell(folder: &Path, script: &str) {
    let status = Command::new("sh").args(["-euc", script]).current_dir(folder).status().unwrap();
    assert!(status.success(), "{script}");
}

fn get(client: &mut Client, target: &str, lines: &str) -> Reply {
    client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n{lines}\r\n"));
    client.reply()
}

/// A server that looks each time.
fn start() -> TestServer {
    let site = Options { cache_valid: Duration::ZERO, ..Options::default() };
    Setup { site, ..Setup::default() }.start()
}

/// Asks until an answer has this field.
fn with_field(client: &mut Client, target: &str, field: &str) -> Reply {
    let began = Instant::now();
    loop {
        let reply = get(client, target, "");
        if reply.field(field).is_some() {
            return reply;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no {field}: {reply:?}");
    }
}

/// The date of modification, as another server would tell it.
fn date(path: &Path) -> String {
    let modified = fs::metadata(path).unwrap().modified().unwrap();
    let seconds = modified.duration_since(UNIX_EPOCH).unwrap().as_secs();
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(seconds))
}

#[test]
fn no_date_of_an_old_version_is_that_of_the_new_one_whatever_tool_wrote_it() {
    let server = start();
    let mut client = server.connect();
    let place = |number: usize| server.root().join(format!("tool{number}"));
    for (number, tool) in TOOLS.iter().enumerate() {
        fs::create_dir(place(number)).unwrap();
        shell(&place(number), tool.first);
    }
    let mut known = Vec::new();
    for (number, tool) in TOOLS.iter().enumerate() {
        let target = format!("/tool{number}/page");
        let field = if tool.is_dated { "last-modified" } else { "etag" };
        let reply = with_field(&mut client, &target, field);
        assert_eq!(reply.field("last-modified").is_some(), tool.is_dated, "{}", tool.name);
        assert_eq!(reply.text(), "the first", "{}", tool.name);
        let by_file = date(&place(number).join("page"));
        if let Some(date) = reply.field("last-modified") {
            assert_eq!(date, by_file, "{}", tool.name);
            let lines = format!("If-Modified-Since: {date}\r\n");
            assert_eq!(get(&mut client, &target, &lines).status(), 304, "{}", tool.name);
        }
        known.push((by_file, reply.field("etag").unwrap().to_owned()));
    }
    for (number, tool) in TOOLS.iter().enumerate() {
        shell(&place(number), tool.then);
    }
    // At once, while the new version has no validators, and when it has a tag.
    for settled in [false, true] {
        for (number, (tool, (date, tag))) in TOOLS.iter().zip(&known).enumerate() {
            let target = format!("/tool{number}/page");
            if settled {
                with_field(&mut client, &target, "etag");
            }
            for lines in [
                format!("If-Modified-Since: {date}\r\n"),
                format!("If-None-Match: {tag}\r\n"),
                format!("Range: bytes=4-\r\nIf-Range: {date}\r\n"),
                format!("Range: bytes=4-\r\nIf-Range: {tag}\r\n"),
                format!("If-Modified-Since: {}\r\n", self::date(&place(0).join("page"))),
            ] {
                // The new version's own date may be told by a plain write, when it is old enough.
                if number == 0
                    && lines.ends_with(&format!("{}\r\n", self::date(&place(0).join("page"))))
                {
                    continue;
                }
                let reply = get(&mut client, &target, &lines);
                let told = (reply.status(), reply.text());
                assert_eq!(told, (200, "the second, longer"), "{}: {lines}", tool.name);
            }
            let lines = format!("Range: bytes=4-\r\nIf-Unmodified-Since: {date}\r\n");
            let reply = get(&mut client, &target, &lines);
            assert_ne!(reply.status(), 206, "{}: {lines}", tool.name);
            let lines = format!("Range: bytes=4-\r\nIf-Match: {tag}\r\n");
            assert_eq!(get(&mut client, &target, &lines).status(), 412, "{}", tool.name);
        }
    }
}

/// Tags, compression and what is held in memory go by the time of change, which no tool sets.
#[test]
fn future_modification_time_omits_last_modified() {
    let server = start();
    let path = server.root().join("page.txt");
    fs::write(&path, "It is all the same, again and again. ".repeat(100)).unwrap();
    let modified = SystemTime::now() + Duration::from_secs(3600);
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    let mut client = server.connect();
    let reply = with_field(&mut client, "/page.txt", "etag");
    assert_eq!(reply.field("last-modified"), None);
    let tag = reply.field("etag").unwrap().to_owned();
    let lines = format!("If-None-Match: {tag}\r\n");
    assert_eq!(get(&mut client, "/page.txt", &lines).status(), 304);
    let reply = get(&mut client, "/page.txt", "Accept-Encoding: gzip\r\n");
    assert_eq!(reply.field("content-encoding"), Some("gzip"));
}
