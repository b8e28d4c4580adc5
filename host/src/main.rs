//! The program: arguments, diagnostics, run, exit code.

use std::io;
use std::process::ExitCode;

use clap::CommandFactory;
use innkeeper::cli::{Arguments, Command, DiagnosticFormat, Settings};
use innkeeper::commands::{check, compile, explain, health, new, say, serve, test};
use innkeeper::panics;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let (arguments, in_force) = Arguments::read();
    let settings = match &arguments.command {
        Some(Command::Dev(arguments)) => &arguments.serve,
        _ => &arguments.serve,
    };
    if let Err(problem) = start_diagnostics(settings) {
        say(format_args!("innkeeper: {problem}"));
        return ExitCode::FAILURE;
    }
    panics::watch();
    let ran = match &arguments.command {
        None => serve::run(&arguments.serve, &in_force).map(|()| ExitCode::SUCCESS),
        Some(Command::Dev(arguments)) => serve::run_dev(arguments).map(|()| ExitCode::SUCCESS),
        Some(Command::New(arguments)) => new::run(arguments),
        Some(Command::Test(arguments)) => test::run(arguments),
        Some(Command::Check(arguments)) => check::run(arguments),
        Some(Command::Compile(arguments)) => compile::run(arguments),
        Some(Command::Explain(arguments)) => explain::run(arguments),
        Some(Command::Health { admin }) => health::run(admin),
        Some(Command::Completions { shell }) => {
            let mut command = Arguments::command();
            clap_complete::generate(*shell, &mut command, "innkeeper", &mut io::stdout());
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Man) => clap_mangen::Man::new(Arguments::command())
            .render(&mut io::stdout())
            .map(|()| ExitCode::SUCCESS)
            .map_err(Into::into),
    };
    ran.unwrap_or_else(|error| {
        say(format_args!("innkeeper: {error:#}"));
        ExitCode::FAILURE
    })
}

/// Diagnostics go to standard error, in colour on a terminal.
fn start_diagnostics(settings: &Settings) -> Result<(), String> {
    let levels = match std::env::var("RUST_LOG") {
        Ok(levels) if !levels.is_empty() => levels
            .parse::<Targets>()
            .map_err(|error| format!("RUST_LOG: {error}; write as in info or innkeeper=debug"))?,
        _ => Targets::new().with_default(settings.level()),
    };
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false);
    let layer = match settings.log_format {
        DiagnosticFormat::Text => layer.boxed(),
        DiagnosticFormat::Json => layer.json().boxed(),
    };
    tracing_subscriber::registry().with(layer.with_filter(levels)).init();
    Ok(())
}
