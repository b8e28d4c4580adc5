//! `innkeeper new NAME`: a project with a policy, its tests, cases and build. One of
//! `--template data` can be configured: it redirects by a table that is its data.
//!
//! Nothing is fetched: the files are in the binary. The parsers of request lines in other
//! languages than Rust are those of the examples.

mod from_rules;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};

use super::stdout::print;
use crate::cli::{Language, NewArguments, Template};
use from_rules::FromRules;

/// A file of a project: its path, and its text.
type File = (&'static str, &'static str);

const WIT: File = ("wit/policy.wit", include_str!("../../../../wit/policy.wit"));
const CASES: File = ("cases.toml", include_str!("cases.toml.txt"));
const DATA_CASES: File = ("cases.toml", include_str!("data/cases.toml.txt"));
const DATA: File = ("redirects.txt", include_str!("data/redirects.txt"));
const README: &str = include_str!("readme.md.txt");
/// What the README says of a policy that is configured.
const ABOUT_DATA: &str = include_str!("data/readme.md.txt");
/// What it says where there is a build for development.
const ABOUT_DEVELOPMENT: &str = include_str!("development.md.txt");

const RUST: &[File] = &[
    ("Cargo.toml", include_str!("rust/Cargo.toml.txt")),
    ("build.sh", include_str!("rust/build.sh.txt")),
    (".gitignore", "target/\npolicy.wasm\n"),
];

const JAVASCRIPT: &[File] = &[
    ("package.json", include_str!("js/package.json.txt")),
    (".gitignore", "node_modules/\npolicy.wasm\n"),
];

const TYPESCRIPT: &[File] = &[
    ("package.json", include_str!("ts/package.json.txt")),
    ("tsconfig.json", include_str!("ts/tsconfig.json.txt")),
    ("lines.js", include_str!("ts/lines.js.txt")),
    (".gitignore", "node_modules/\nbuild/\npolicy.wasm\n"),
];

/// What policies in JavaScript and TypeScript share.
const SCRIPTS: &[File] = &[
    (".npmrc", include_str!("../../../../guest/examples/javascript/.npmrc")),
    ("innkeeper.js", include_str!("../../../../guest/examples/javascript/innkeeper.js")),
    ("innkeeper.d.ts", include_str!("../../../../guest/examples/javascript/innkeeper.d.ts")),
    ("request.js", include_str!("../../../../guest/examples/javascript/request.js")),
    ("request.d.ts", include_str!("../../../../guest/examples/javascript/request.d.ts")),
    ("sandbox.js", include_str!("../../../../guest/examples/javascript/sandbox.js")),
    ("console.js", include_str!("../../../../guest/examples/javascript/console.js")),
    ("released.js", include_str!("../../../../guest/examples/javascript/released.js")),
    ("development.js", include_str!("../../../../guest/examples/javascript/development.js")),
    ("wit/development.wit", include_str!("js/development.wit.txt")),
];

const PYTHON: &[File] = &[
    ("Makefile", include_str!("python/Makefile.txt")),
    ("requirements.txt", include_str!("../../../../guest/examples/python/requirements.txt")),
    ("released.py", include_str!("../../../../guest/examples/python/released.py")),
    ("quiet.py", include_str!("../../../../guest/examples/python/quiet.py")),
    ("binding.py", include_str!("../../../../guest/examples/python/binding.py")),
    ("innkeeper.py", include_str!("../../../../guest/examples/python/innkeeper.py")),
    ("request.py", include_str!("../../../../guest/examples/python/request.py")),
    (".gitignore", ".venv/\n__pycache__/\npolicy.wasm\n"),
];

const C: &[File] = &[
    ("Makefile", include_str!("c/Makefile.txt")),
    ("requirements.txt", include_str!("../../../../guest/examples/c/requirements.txt")),
    ("innkeeper.h", include_str!("../../../../guest/examples/c/innkeeper.h")),
    ("helpers.h", include_str!("../../../../guest/examples/c/helpers.h")),
    ("helpers.c", include_str!("../../../../guest/examples/c/helpers.c")),
    ("request.h", include_str!("../../../../guest/examples/c/request.h")),
    ("request.c", include_str!("../../../../guest/examples/c/request.c")),
    (".gitignore", ".venv/\n*.wasm\n*.core\ntest_policy\n"),
];

const GO: &[File] = &[
    ("Makefile", include_str!("go/Makefile.txt")),
    ("go.mod", include_str!("go/go.mod.txt")),
    ("helpers.go", include_str!("go/helpers.go.txt")),
    ("contract.go", include_str!("../../../../guest/examples/go/contract.go")),
    ("encode.go", include_str!("../../../../guest/examples/go/encode.go")),
    ("exports_wasip1.go", include_str!("../../../../guest/examples/go/exports_wasip1.go")),
    ("request.go", include_str!("../../../../guest/examples/go/request.go")),
    ("released_wasip1.go", include_str!("../../../../guest/examples/go/released_wasip1.go")),
    ("released.wat", include_str!("../../../../guest/examples/go/released.wat")),
    ("development_wasip1.go", include_str!("../../../../guest/examples/go/development_wasip1.go")),
    ("development.wat", include_str!("../../../../guest/examples/go/development.wat")),
    ("wasi.wat", include_str!("../../../../guest/examples/go/wasi.wat")),
    ("package.json", include_str!("../../../../guest/examples/go/package.json")),
    ("package-lock.json", include_str!("../../../../guest/examples/go/package-lock.json")),
    ("requirements.txt", include_str!("../../../../guest/examples/go/requirements.txt")),
    (".gitignore", ".venv/\nnode_modules/\n*.wasm\n"),
];

/// What exports `configure` in Go.
const GO_CONFIGURE: File =
    ("configure_wasip1.go", include_str!("../../../../guest/examples/go/configure_wasip1.go"));

/// A project in one language, and its commands for the README.
struct Project {
    files: &'static [File],
    /// What it shares with other languages or templates.
    shared: &'static [File],
    /// Those of a policy that is complete as it is.
    plain: &'static [File],
    /// Those of one that is configured by data.
    data: &'static [File],
    build: &'static str,
    /// Builds a policy that tells why it fails, if there is a way.
    dev: Option<&'static str>,
    test: &'static str,
    /// Flags for `innkeeper dev`, each followed by a space.
    sources: &'static str,
    needs: &'static str,
}

impl Language {
    fn project(self) -> Project {
        match self {
            Language::Rust => Project {
                files: RUST,
                shared: &[
                    ("src/development.rs", include_str!("rust/development.rs.txt")),
                    ("src/request.rs", include_str!("rust/request.rs.txt")),
                    ("src/response.rs", include_str!("rust/response.rs.txt")),
                ],
                plain: &[("src/lib.rs", include_str!("rust/lib.rs.txt"))],
                data: &[("src/lib.rs", include_str!("rust/data.rs.txt"))],
                build: "./build.sh",
                dev: Some("./build.sh dev"),
                test: "cargo test",
                sources: "",
                needs: "Rust, with `rustup target add wasm32-unknown-unknown`",
            },
            Language::Js => Project {
                files: JAVASCRIPT,
                shared: SCRIPTS,
                plain: &[
                    ("policy.js", include_str!("js/policy.js.txt")),
                    ("policy.test.js", include_str!("js/policy.test.js.txt")),
                ],
                data: &[
                    ("policy.js", include_str!("js/data.js.txt")),
                    ("policy.test.js", include_str!("js/data.test.js.txt")),
                ],
                build: "npm install --silent && npm run --silent build",
                dev: Some("npm install --silent && npm run --silent dev"),
                test: "npm test",
                sources: "--source policy.js --source request.js --source innkeeper.js ",
                needs: "Node.js 20 or newer, with npm",
            },
            Language::Ts => Project {
                files: TYPESCRIPT,
                shared: SCRIPTS,
                plain: &[
                    ("policy.ts", include_str!("ts/policy.ts.txt")),
                    ("policy.test.ts", include_str!("ts/policy.test.ts.txt")),
                ],
                data: &[
                    ("policy.ts", include_str!("ts/data.ts.txt")),
                    ("policy.test.ts", include_str!("ts/data.test.ts.txt")),
                ],
                build: "npm install --silent && npm run --silent build",
                dev: Some("npm install --silent && npm run --silent dev"),
                test: "npm test",
                sources: "--source policy.ts --source request.js --source innkeeper.js ",
                needs: "Node.js 20 or newer, with npm",
            },
            Language::Python => Project {
                files: PYTHON,
                shared: &[],
                plain: &[
                    ("app.py", include_str!("python/app.py.txt")),
                    ("policy.py", include_str!("python/policy.py.txt")),
                    ("test_policy.py", include_str!("python/test_policy.py.txt")),
                ],
                data: &[
                    ("app.py", include_str!("python/data_app.py.txt")),
                    ("policy.py", include_str!("python/data_policy.py.txt")),
                    ("test_policy.py", include_str!("python/data_test.py.txt")),
                ],
                build: "make policy.wasm",
                dev: Some("make --silent dev"),
                test: "make test",
                sources: "--source policy.py --source app.py --source request.py --source innkeeper.py ",
                needs: "Python 3.11 or newer, with venv, and make",
            },
            Language::C => Project {
                files: C,
                shared: &[],
                plain: &[
                    ("policy.c", include_str!("c/policy.c.txt")),
                    ("test_policy.c", include_str!("c/test_policy.c.txt")),
                ],
                data: &[
                    ("policy.c", include_str!("c/data_policy.c.txt")),
                    ("test_policy.c", include_str!("c/data_test.c.txt")),
                ],
                build: "make policy.wasm",
                dev: Some("make --silent dev"),
                test: "make test",
                sources: "--source policy.c --source helpers.c --source request.c ",
                needs: "clang with lld, a C compiler, Python with venv, and make",
            },
            Language::Go => Project {
                files: GO,
                shared: &[],
                plain: &[
                    ("policy.go", include_str!("go/policy.go.txt")),
                    ("policy_test.go", include_str!("go/policy_test.go.txt")),
                ],
                data: &[
                    ("policy.go", include_str!("go/data_policy.go.txt")),
                    ("policy_test.go", include_str!("go/data_test.go.txt")),
                    GO_CONFIGURE,
                ],
                build: "make policy.wasm",
                dev: Some("make --silent dev"),
                test: "make test",
                sources: "--source policy.go --source helpers.go --source request.go ",
                needs: "Go 1.24 or newer, Node.js with npm, Python with venv, and make",
            },
        }
    }
}

/// Writes the project.
pub fn run(arguments: &NewArguments) -> anyhow::Result<ExitCode> {
    let name = arguments.name.as_str();
    let folder = Path::new(name);
    if folder.exists() {
        bail!("{name} already exists; choose another name, or run this in another folder");
    }
    let project = match &arguments.from_rules {
        Some(rules) => from_rules(name, rules)?,
        None => of_template(arguments),
    };
    let of_crate = name.replace('-', "_");
    let named = |text: String| text.replace("PROJECT", name).replace("CRATE", &of_crate);
    let templates = project.templates.into_iter().map(|(path, text)| (path, named(text)));
    for (path, text) in templates.chain(project.written) {
        let path = folder.join(path);
        write(&path, &text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(format_args!("{}", project.created))?;
    Ok(ExitCode::SUCCESS)
}

/// The files of a new project.
struct New {
    /// Paths and texts with placeholders.
    templates: Vec<(&'static str, String)>,
    /// Paths and texts as they are.
    written: Vec<(&'static str, String)>,
    /// What is said of it.
    created: String,
}

/// A project that begins with a template.
fn of_template(arguments: &NewArguments) -> New {
    let (name, project) = (&arguments.name, arguments.lang.project());
    let (more, shared, world): (_, &[File], _) = match arguments.template {
        Template::Plain => (project.plain, &[CASES], "guest"),
        Template::Data => (project.data, &[DATA_CASES, DATA], "configurable-guest"),
    };
    let (about, data) = match arguments.template {
        Template::Plain => ("", ""),
        Template::Data => (ABOUT_DATA, " --data redirects.txt"),
    };
    let readme = README
        .replace("SPEAKING", project.dev.map_or("", |_| ABOUT_DEVELOPMENT))
        .replace("DEV", project.dev.unwrap_or(project.build))
        .replace("BUILD", project.build)
        .replace("TEST", project.test)
        .replace("SOURCES", project.sources)
        .replace("NEEDS", project.needs)
        .replace("ABOUT", about)
        .replace("DATA", data);
    let files = project.files.iter().chain(project.shared).chain(more).chain([&WIT]).chain(shared);
    let files =
        files.map(|(path, text)| (*path, (*text).to_owned())).chain([("README.md", readme)]);
    New {
        templates: files.map(|(path, text)| (path, text.replace("WORLD", world))).collect(),
        written: Vec::new(),
        created: format!(
            "Created the policy {name}. To build and test it, in that folder:\n\n    {}\n    {}\n    \
             innkeeper test policy.wasm cases.toml{data}\n\nSee README.md.\n",
            project.build, project.test
        ),
    }
}

/// A guest in Rust that decides by the rules of a file.
fn from_rules(name: &str, rules: &Path) -> anyhow::Result<New> {
    let FromRules { mut templates, written, missing_library } = from_rules::files(rules)?;
    let shared = RUST.iter().filter(|(path, _)| *path != "Cargo.toml");
    templates.extend(shared.map(|(path, text)| (*path, (*text).to_owned())));
    let mut created = format!(
        "Created the policy {name}, which decides as {} does. To build and test it, in that \
         folder:\n\n    {}\n    innkeeper test policy.wasm cases.toml\n",
        rules.display(),
        Language::Rust.project().build
    );
    if let Some(library) = missing_library {
        created += &format!(
            "\nIts library, innkeeper-guest, is not in {}, where this program was built. Cargo.toml \
             names the crate of that name: if there is none yet, write `path = \"…/guest\"` there in \
             place of `version`, with a checkout of innkeeper.\n",
            library.display()
        );
    }
    Ok(New { templates, written, created })
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)?;
    if text.starts_with("#!") {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}
