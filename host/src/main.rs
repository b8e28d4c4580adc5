//! The program: arguments, diagnostics, run, exit code.

use std::io;
use std::process::ExitCode;

use innkeeper::cli::{Arguments, Command};
use innkeeper::commands::{check, explain, serve, test};
use tracing::Level;

fn main() -> ExitCode {
    let arguments = Arguments::from_command_line();
    let level = if arguments.serve.verbose { Level::DEBUG } else { Level::INFO };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .init();
    let ran = match &arguments.command {
        None => serve::run(&arguments.serve).map(|()| ExitCode::SUCCESS),
        Some(Command::Test(arguments)) => test::run(arguments),
        Some(Command::Check(arguments)) => check::run(arguments),
        Some(Command::Explain(arguments)) => explain::run(arguments),
    };
    ran.unwrap_or_else(|error| {
        eprintln!("innkeeper: {error:#}");
        ExitCode::FAILURE
    })
}
