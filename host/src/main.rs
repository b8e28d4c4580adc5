//! The program: arguments, diagnostics, run, exit code.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::CommandFactory;
use innkeeper::cli::{Arguments, Command, Configuration, Settings};
use innkeeper::commands::{check, compile, explain, health, new, serve, test};
use innkeeper::diagnostics;
use innkeeper::guest::runtime;
use innkeeper::helper::{self, Role};
use innkeeper::panics;
use tracing_subscriber::filter::Targets;

fn main() -> ExitCode {
    // Before anything else: a helper needs none of it.
    let work = |role, socket| match role {
        Role::Compiler => runtime::compile::work(socket),
    };
    if let Some(code) = helper::run(work) {
        return code;
    }
    let Configuration { arguments, effective, warnings } = match Configuration::of_process() {
        Ok(configuration) => configuration,
        Err(error) => return error.report(),
    };
    let settings = match &arguments.command {
        Some(Command::Dev(arguments)) => &arguments.serve,
        _ => &arguments.serve,
    };
    if let Err(problem) = start_diagnostics(settings) {
        diagnostics::error(&problem);
        return ExitCode::FAILURE;
    }
    panics::watch();
    for warning in &warnings {
        tracing::warn!(reason = warning, "environment variable ignored");
    }
    let _at_the_end = diagnostics::Finish;
    let ran = match &arguments.command {
        None => serve::run(&arguments.serve, &effective).map(|()| ExitCode::SUCCESS),
        Some(Command::Dev(arguments)) => {
            serve::run_dev(arguments, &effective).map(|()| ExitCode::SUCCESS)
        }
        Some(Command::New(arguments)) => new::run(arguments),
        Some(Command::Test(arguments)) => test::run(arguments),
        Some(Command::Check(arguments)) => check::run(arguments),
        Some(Command::Compile(arguments)) => compile::run(arguments),
        Some(Command::Explain(arguments)) => explain::run(arguments),
        Some(Command::Health { admin }) => health::run(admin),
        Some(Command::Completions { shell }) => {
            let mut command = Arguments::command();
            // It would panic where standard output cannot be written.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut command, "innkeeper", &mut script);
            io::stdout().write_all(&script).map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
        Some(Command::Man) => clap_mangen::Man::new(Arguments::command())
            .render(&mut io::stdout())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    ran.unwrap_or_else(|error| {
        diagnostics::error(&format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Diagnostics go to standard error.
fn start_diagnostics(settings: &Settings) -> Result<(), String> {
    let levels = match std::env::var("RUST_LOG") {
        Ok(levels) if !levels.is_empty() => levels
            .parse::<Targets>()
            .map_err(|error| format!("RUST_LOG: {error}; write as in info or innkeeper=debug"))?,
        _ => Targets::new().with_default(settings.log.level()),
    };
    diagnostics::start(levels, settings.log.format);
    Ok(())
}
