//! The access log as its readers want it: parts of requests apart, a choice of fields, ids.

use rustix::process::Signal;

use crate::fixture::site;
use crate::running::{Program, run, serving};

/// The lines that the program logs for these requests. Each has a connection of its own, and they
/// are logged once their clients have taken the responses: their order is not told.
fn logged(arguments: &[&str], requests: &[&str]) -> Vec<String> {
    let folder = site();
    let program = Program::start(serving(&folder.path().join("root"), arguments), 1);
    for request in requests {
        let mut client = program.client();
        client.send(request);
        client.reply();
    }
    program.signal(Signal::TERM);
    let mut lines: Vec<_> = program.finish().1.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn fields_of_json_are_chosen() {
    let request = "GET /hello.txt?a=b HTTP/1.1\r\nHost: a.example:81\r\n\r\n";
    let chosen = ["--access-log", "json", "--access-log-fields", "host,path,query,method,status"];
    let expected = "{\"method\":\"GET\",\"host\":\"a.example:81\",\"path\":\"/hello.txt\",\
                    \"query\":\"a=b\",\"status\":200}";
    assert_eq!(logged(&chosen, &[request, "BAD\r\n\r\n"]), [expected, "{\"status\":400}"]);
    let line = &logged(&["--access-log", "vhost-combined"], &[request])[0];
    assert!(line.starts_with("a.example:81 127.0.0.1 - - ["), "{line}");
    let folder = site();
    for (arguments, told) in [
        (&["--access-log-fields", "path"][..], "set --access-log json, or leave it out"),
        (&["--access-log-fields", "uri"], "there is no field \"uri\"; write some of timestamp,"),
    ] {
        let all = [&["root", "--listen", "127.0.0.1:0"], arguments].concat();
        let ended = run(folder.path(), &all);
        assert!(ended.code != 0 && ended.errors.contains(told), "{}", ended.errors);
    }
}

#[test]
fn request_has_an_id_that_is_given_or_made() {
    let folder = site();
    let flags = ["--request-id", "X-Request-Id", "--access-log", "json"];
    let program = Program::start(serving(&folder.path().join("root"), &flags), 1);
    let ask = |line: &str, id: &str| {
        let mut client = program.client();
        client.send(format!("{line}\r\nHost: a\r\n{id}\r\n"));
        client.reply().field("x-request-id").unwrap().to_owned()
    };
    assert_eq!(ask("GET /hello.txt HTTP/1.1", "X-Request-Id: 4bf9-2f\r\n"), "4bf9-2f");
    assert_eq!(ask("GET /missing HTTP/1.1", "x-request-id: a:1\r\n"), "a:1");
    let made = ask("GET /hello.txt HTTP/1.1", "X-Request-Id: \"no\"\r\n");
    assert!(made.len() == 32 && made.bytes().all(|byte| byte.is_ascii_hexdigit()), "{made}");
    // What is no request has one, too.
    let of_malformed = ask("GET /a b HTTP/1.1", "");
    assert_eq!(of_malformed.len(), 32);
    program.signal(Signal::TERM);
    let (_, out, _) = program.finish();
    for id in ["4bf9-2f", "a:1", &made, &of_malformed] {
        assert!(out.contains(&format!("\"request_id\":\"{id}\"")), "{id}: {out}");
    }
}
