//! Rules as data: each flag, files of rules, and those of a site, over sockets; and the commands that
//! work on rules.

use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::fixture::{Reply, write};
use crate::running::{PROGRAM, Program, serving};

/// A site with two pages, an asset and files of rules.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let pages = [("root/index.html", "home"), ("root/about.html", "about"), ("root/app.js", "js")];
    for (path, content) in pages.iter().chain(files) {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        write(&path, content.as_bytes());
    }
    folder
}

/// A server of such a site with these flags, whose paths are in its folder.
fn serve(folder: &TempDir, flags: &[&str]) -> Program {
    let mut command = serving(Path::new("root"), flags);
    command.current_dir(folder.path());
    Program::start(command, 1)
}

fn ask(program: &Program, request: &str) -> Reply {
    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let fields: String = fields.lines().map(|field| format!("{}\r\n", field.trim())).collect();
    let mut client = program.client();
    client.send(format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes());
    client.reply()
}

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = Command::new(PROGRAM)
        .args(arguments)
        .current_dir(folder)
        .env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"))
        .output()
        .unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}
