//! The program: configuration, diagnostics, one command, exit code.

use std::process::ExitCode;

use anyhow::anyhow;
use innkeeper::acme;
use innkeeper::cli::{Arguments, Command, Configuration};
use innkeeper::commands;
use innkeeper::diagnostics;
use innkeeper::guest::runtime;
use innkeeper::helper::{self, Role};
use innkeeper::panics;
use tracing_subscriber::filter::{LevelFilter, Targets};

fn main() -> ExitCode {
    // Before anything else: a helper needs none of it.
    let work = |role, socket| match role {
        Role::Compiler => runtime::compile_job::work(socket),
    };
    if let Some(code) = helper::run(work, acme::fetch, acme::report_end) {
        return code;
    }
    let configuration = match Configuration::of_process() {
        Ok(configuration) => configuration,
        Err(error) => return error.report(),
    };
    if let Err(problem) = start_diagnostics(&configuration.arguments) {
        diagnostics::error(&problem);
        return ExitCode::FAILURE;
    }
    panics::watch();
    let _at_the_end = diagnostics::Finish;
    commands::run(&configuration).unwrap_or_else(|error| {
        diagnostics::error(&format_args!("{error:#}"));
        ExitCode::FAILURE
    })
}

/// Diagnostics go to standard error.
fn start_diagnostics(arguments: &Arguments) -> anyhow::Result<()> {
    let settings = arguments.settings();
    let levels = match std::env::var("RUST_LOG") {
        Ok(levels) if !levels.is_empty() => levels
            .parse::<Targets>()
            .map_err(|error| anyhow!("RUST_LOG: {error}; write as in info or innkeeper=debug"))?,
        _ => {
            let levels = Targets::new().with_default(settings.log.level());
            match arguments.command {
                // It tells of each name itself.
                Some(Command::Acme(_)) => levels
                    .with_target("innkeeper::acme", LevelFilter::OFF)
                    .with_target("innkeeper::tls", LevelFilter::WARN),
                _ => levels,
            }
        }
    };
    diagnostics::start(levels, settings.log.format);
    Ok(())
}
