//! What documents name is what the program has: flags, variables, settings, metrics, tests, and
//! the fields of its JSON. And what the program has is in the manual.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use innkeeper_guest::rules::{headers_file, redirects_file};

use super::{gather, pages, read, spans};
use crate::fixture::site;
use crate::running::{PROGRAM, Program, serving, told, workspace};

/// The commands that have flags of their own.
const COMMANDS: [&str; 11] =
    ["", "acme", "bake", "new", "password", "test", "check", "explain", "compile", "dev", "health"];

/// Programs whose flags documents name beside ours.
const OTHERS: [&str; 13] = [
    "caddy ",
    "cargo ",
    "certbot ",
    "curl ",
    "git ",
    "lego ",
    "kubernetes-validate ",
    "prlimit ",
    "rsync ",
    "rustup ",
    "systemctl ",
    "systemd-analyze ",
    "umount ",
];

/// What is about other programs: tools of other languages, and fuzzers.
const OF_OTHERS: [&str; 3] = ["guest/examples", "host/fuzz", "wit"];

fn run(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).current_dir(workspace()).output().unwrap()
}

/// All flags of the program and its commands.
fn flags() -> BTreeSet<String> {
    let mut flags = BTreeSet::new();
    for command in COMMANDS {
        let arguments = [command, "--help"];
        let help = run(if command.is_empty() { &arguments[1..] } else { &arguments });
        let help = String::from_utf8(help.stdout).unwrap();
        // A flag begins its line, behind its short form.
        for line in help.lines().map(str::trim_start) {
            let line = if line.starts_with('-') && !line.starts_with("--") {
                line.get(4..).unwrap_or_default()
            } else {
                line
            };
            flags.extend(words(line, "-").next().filter(|word| is_flag(word)).map(str::to_owned));
        }
    }
    assert!(flags.len() > 40, "{flags:?}");
    flags
}

/// Words of letters, digits and these characters.
fn words<'a>(text: &'a str, more: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(move |c: char| !c.is_ascii_alphanumeric() && !more.contains(c))
}

fn is_flag(word: &str) -> bool {
    word.starts_with("--") && word.len() > 2 && !word.starts_with("---") && !word.ends_with('-')
}

/// Everything that is written in these folders in these languages, in one text.
fn sources(folders: &[&str], extensions: &[&str]) -> String {
    let mut found = Vec::new();
    for folder in folders {
        for extension in extensions {
            gather(&workspace().join(folder), extension, &mut found);
        }
    }
    found.into_iter().map(|(_, text)| text).collect()
}

#[test]
fn flags_that_are_named_exist() {
    let (flags, scripts) = (flags(), sources(&["host/benches", "host/fuzz"], &["py"]));
    let scripts = scripts + &read(".ci/run") + &read("host/packaging/deb/build");
    let mut unknown = Vec::new();
    for (page, text) in pages() {
        let is_of_others = OF_OTHERS.iter().any(|of| page.starts_with(workspace().join(of)));
        if page.ends_with("CHANGELOG.md") || is_of_others {
            continue;
        }
        for line in text.lines().filter(|line| !OTHERS.iter().any(|other| line.contains(other))) {
            for flag in words(line, "-").filter(|word| is_flag(word)) {
                if !flags.contains(flag) && !scripts.contains(&format!("\"{flag}\"")) {
                    unknown.push(format!("{flag} in {}: {line}", page.display()));
                }
            }
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
}

#[test]
fn each_flag_is_in_the_manual() {
    let manual = read("docs/configuration.md");
    let named: BTreeSet<_> = words(&manual, "-").collect();
    for flag in flags() {
        // Each program has these.
        let is_usual = ["--help", "--version"].contains(&&*flag);
        assert!(is_usual || named.contains(&*flag), "{flag} is not in docs/configuration.md");
    }
}

#[test]
fn variables_that_are_named_exist() {
    let of_flag = |flag: &String| {
        let name = flag.trim_start_matches("--").trim_start_matches("no-");
        format!("INNKEEPER_{}", name.replace('-', "_").to_uppercase())
    };
    let mut known: BTreeSet<_> = flags().iter().map(of_flag).collect();
    let scripts = read(".ci/run") + &sources(&["host/src", "host/tests"], &["rs", "sh"]);
    known.extend(
        words(&scripts, "_").filter(|word| word.starts_with("INNKEEPER_")).map(str::to_owned),
    );
    for (page, text) in pages() {
        for variable in words(&text, "_").filter(|word| word.starts_with("INNKEEPER_")) {
            // One stands for all: `INNKEEPER_X`.
            let is_known =
                known.contains(variable) || matches!(variable, "INNKEEPER_" | "INNKEEPER_X");
            assert!(is_known || page.ends_with("CHANGELOG.md"), "{variable} in {}", page.display());
        }
    }
}

/// What stands in fences of this language.
fn fenced(text: &str, language: &str) -> Vec<String> {
    let begin = format!("```{language}\n");
    let blocks = text.split(&*begin).skip(1).filter_map(|rest| rest.split("\n```").next());
    blocks.map(str::to_owned).collect()
}

#[test]
fn configurations_in_the_manual_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("innkeeper.toml");
    let mut examples = vec![read("host/packaging/innkeeper.toml")];
    for page in ["docs/configuration.md", "docs/operating.md"] {
        examples.extend(fenced(&read(page), "toml"));
    }
    assert!(examples.len() > 2, "{examples:?}");
    for example in examples {
        fs::write(&file, &example).unwrap();
        let printed = run(&["--config", file.to_str().unwrap(), "--print-config"]);
        let errors = String::from_utf8(printed.stderr).unwrap();
        assert!(printed.status.success() && errors.is_empty(), "{errors}\n{example}");
    }
}

/// The pages for those who come from other servers: what they write as a line of our settings.
const FROM_OTHERS: [&str; 2] = ["docs/from-nginx.md", "docs/from-caddy.md"];

/// Settings in the tables of such a page: code behind the first column with a key and a value.
fn settings_in_tables(text: &str) -> impl Iterator<Item = &str> {
    let rows = text.lines().filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.trim_start_matches('|').split_once('|'));
    let codes = cells.flat_map(|(_, others)| others.split('`').skip(1).step_by(2));
    codes.filter(|code| code.contains(" = "))
}

/// What such a page says instead of another server's configuration would start a server.
#[test]
fn settings_for_those_who_come_from_other_servers_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let beneath = |path: &str| folder.path().join(path);
    for made in ["srv/site", "etc/innkeeper", "var/log/innkeeper", "run/innkeeper"] {
        fs::create_dir_all(beneath(made)).unwrap();
    }
    let mut password = Command::new(PROGRAM)
        .args(["password", "--iterations", "1000", "alice"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    password.stdin.take().unwrap().write_all(b"a password of alice").unwrap();
    let line = password.wait_with_output().unwrap().stdout;
    fs::write(beneath("etc/innkeeper/passwords"), line).unwrap();
    fs::write(beneath("etc/innkeeper/rules.toml"), "spa = true\n").unwrap();
    let (file, cache) = (beneath("innkeeper.toml"), beneath("cache"));
    let cache = cache.to_str().unwrap();
    let (mut lines, mut files) = (0, 0);
    for page in FROM_OTHERS {
        let text = read(page);
        let wholes = fenced(&text, "toml");
        let settings = settings_in_tables(&text).map(|line| (line, false));
        for (setting, is_whole) in settings.chain(wholes.iter().map(|it| (it.as_str(), true))) {
            let mut here = setting.to_owned();
            for root in ["/srv/", "/etc/innkeeper/", "/var/"] {
                let other = format!("\"{}", beneath(root.trim_start_matches('/')).display());
                here = here.replace(&format!("\"{root}"), &format!("{other}/"));
                here = here.replace(&format!("={root}"), &format!("={}/", &other[1..]));
            }
            if is_whole {
                // Of TLS there is what needs no certificate, and no port is taken.
                here = here.replace("certificate = [", "# [").replace("key = [", "# [");
                here = here.replace("[tls]", "[tls]\nself-signed = true");
                here = here.replace(":80\"", ":0\"").replace(":443\"", ":0\"");
            }
            fs::write(&file, &here).unwrap();
            let how = if is_whole { "--check" } else { "--print-config" };
            let ran = run(&["--config", file.to_str().unwrap(), how, "--code-cache", cache]);
            let errors = String::from_utf8(ran.stderr).unwrap();
            let is_silent = is_whole || errors.is_empty();
            assert!(ran.status.success() && is_silent, "{page}: {setting}\n{errors}");
            *(if is_whole { &mut files } else { &mut lines }) += 1;
        }
    }
    assert!(lines > 80 && files == 2, "{lines} lines, {files} files");
}

#[test]
fn rules_in_the_manual_are_accepted() {
    let page = read("docs/rules.md");
    let files = fenced(&page, "toml");
    assert_eq!(files.len(), 2, "{files:?}");
    for file in files {
        let problems = innkeeper::rules::file::parse(&file).err().unwrap_or_default();
        assert!(problems.is_empty(), "{problems:?}\n{file}");
    }
    let [redirects] = &fenced(&page, "redirects")[..] else { panic!("one example") };
    redirects_file::parse(redirects.as_bytes(), 0).unwrap();
    let [headers] = &fenced(&page, "headers")[..] else { panic!("one example") };
    headers_file::parse(headers.as_bytes(), 0).unwrap();
}

#[test]
fn each_setting_is_in_the_manual() {
    let manual = read("docs/configuration.md");
    let printed = String::from_utf8(run(&["--print-config"]).stdout).unwrap();
    let mut section = manual.as_str();
    let mut count = 0;
    for line in printed.lines() {
        if let Some(table) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            let heading = format!("| Key in `[{table}]` |");
            let rest =
                manual.split_once(&heading).unwrap_or_else(|| panic!("there is no {heading}"));
            section = rest.1.split("\n## ").next().unwrap();
        } else if let Some((key, _)) = line.trim_start_matches("# ").split_once(" =") {
            count += 1;
            assert!(section.contains(&format!("`{}`", key.trim())), "{key} is not in its table");
        }
    }
    assert!(count > 40, "{printed}");
}

#[test]
fn metrics_that_are_named_exist_and_each_is_in_the_manual() {
    let source = sources(&["host/src/metrics", "host/src/admin"], &["rs"]);
    let is_metric = |word: &&str| word.starts_with("innkeeper_") && word.len() > 10;
    let known: BTreeSet<_> = words(&source, "_").filter(is_metric).collect();
    assert!(known.len() > 15, "{known:?}");
    for (page, text) in pages() {
        for metric in words(&text, "_").filter(is_metric) {
            // Crates.
            let is_crate = ["innkeeper_guest", "innkeeper_cases"].contains(&metric);
            let is_old = page.ends_with("CHANGELOG.md");
            assert!(is_crate || is_old || known.contains(metric), "{metric} in {}", page.display());
        }
    }
    for file in ["alerts.yml", "alerts.test.yml", "grafana.json"] {
        let text = read(&format!("host/packaging/prometheus/{file}"));
        for metric in words(&text, "_").filter(is_metric) {
            let whole = ["_bucket", "_count"].iter().find_map(|end| metric.strip_suffix(end));
            assert!(known.contains(whole.unwrap_or(metric)), "{metric} in {file}");
        }
    }
    let folder = site();
    let mut program =
        Program::start(serving(&folder.path().join("root"), &["--admin", "127.0.0.1:0"]), 1);
    let admin = program.admin();
    let manual = read("docs/operating.md");
    for line in told(admin, "/metrics").lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let metric = line.split(' ').next().unwrap();
        assert!(manual.contains(&format!("`{metric}`")), "{metric} is not in docs/operating.md");
    }
}

/// The names of all fields, also of those within.
fn names(value: &serde_json::Value, found: &mut BTreeSet<String>) {
    match value {
        serde_json::Value::Object(fields) => {
            for (name, value) in fields {
                found.insert(name.clone());
                names(value, found);
            }
        }
        serde_json::Value::Array(values) => values.iter().for_each(|value| names(value, found)),
        _ => {}
    }
}

#[test]
fn each_field_of_json_is_in_the_manual() {
    let folder = site();
    let log = folder.path().join("access.log");
    let flags = ["--admin", "127.0.0.1:0", "--access-log", "json", "--access-log-file"];
    let mut command = serving(&folder.path().join("root"), &flags);
    command.arg(&log);
    let mut program = Program::start(command, 1);
    let admin = program.admin();
    program.get("/hello.txt");
    crate::running::until(|| fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n')));
    let mut found = BTreeSet::new();
    for text in [told(admin, "/status"), fs::read_to_string(&log).unwrap()] {
        names(&serde_json::from_str(&text).unwrap(), &mut found);
    }
    assert!(found.len() > 20, "{found:?}");
    let manual = read("docs/operating.md") + &read("docs/admin-api.md");
    let named: BTreeSet<_> = spans(&manual).flat_map(|span| words(span, "_")).collect();
    let missing: Vec<_> = found.iter().filter(|name| !named.contains(&***name)).collect();
    assert!(missing.is_empty(), "not in the manual: {missing:?}");
}

#[test]
fn each_code_of_an_error_is_in_the_manual() {
    let (sources, manual) = (sources(&["host/src"], &["rs"]), read("docs/admin-api.md"));
    let mut codes = BTreeSet::new();
    for function in sources.split("pub fn code(").skip(1) {
        let body = function.split("\n    }").next().unwrap();
        codes.extend(body.split('"').skip(1).step_by(2));
    }
    assert!(codes.len() > 10, "{codes:?}");
    let is_missing = |code: &&&str| !manual.contains(&format!("`{code}`"));
    let missing: Vec<_> = codes.iter().filter(is_missing).collect();
    assert!(missing.is_empty(), "not in docs/admin-api.md: {missing:?}");
}

/// Log events: the code in the columns of tables that say what the log says.
#[test]
fn events_that_are_named_exist() {
    // What the compiler of Rust writes of its own.
    const OF_OTHERS: &str = "memory allocation of … bytes failed";
    let sources = sources(&["host/src"], &["rs"]);
    // A string that goes on in the next line.
    let mut joined = String::new();
    for line in sources.split("\\\n") {
        joined += line.trim_start();
    }
    let mut missing = Vec::new();
    let mut count = 0;
    for (page, title, column) in
        [("docs/security.md", "What the log says", 3), ("docs/operating.md", "What it says", 1)]
    {
        let text = read(page);
        let rows = text.lines().skip_while(|line| !line.contains(title)).skip(2);
        for row in rows.take_while(|line| line.starts_with('|')) {
            let cell = row.split('|').nth(column).unwrap();
            // Events have a blank; statuses, metrics and paths have none.
            for event in cell.split('`').skip(1).step_by(2).filter(|code| code.contains(' ')) {
                count += 1;
                if event != OF_OTHERS && !joined.contains(event) {
                    missing.push(format!("{event} in {page}"));
                }
            }
        }
    }
    assert!(count > 20, "{count}");
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn tests_that_are_named_exist() {
    let sources = sources(&["host/src", "host/tests", "guest"], &["rs"]);
    let mut known = BTreeSet::new();
    known.extend(sources.split("fn ").skip(1).filter_map(|rest| words(rest, "_").next()));
    // Fields of JSON: those of a struct, and those that stand in quotes within a string.
    let fields = sources.lines().filter_map(|line| line.trim_start().split_once(": "));
    known.extend(fields.map(|(name, _)| name.trim_start_matches("pub ")));
    known.extend(sources.split("\\\"").map(|part| part.trim_end_matches('\\')));
    // A system call, and a setting of nginx.
    let others = ["io_uring_setup", "open_file_cache"];
    let mut missing = Vec::new();
    for (page, text) in pages() {
        let is_from_others = FROM_OTHERS.iter().any(|from| page.ends_with(from));
        if page.ends_with("CHANGELOG.md") || is_from_others {
            continue;
        }
        for span in spans(&text) {
            let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            let is_test = span.matches('_').count() >= 2 && span.chars().all(is_name);
            // Metrics, which have a test of their own.
            let is_metric = ["innkeeper_", "process_"].iter().any(|of| span.starts_with(of));
            let is_other = is_metric || others.contains(&span);
            if is_test && !is_other && !known.contains(span) {
                missing.push(format!("{span} in {}", page.display()));
            }
        }
    }
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}
