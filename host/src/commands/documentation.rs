//! `innkeeper completions SHELL`: what completes the command line in a shell.

use std::process::ExitCode;

use clap::CommandFactory;
use clap_complete::Shell;

use super::stdout::print;
use crate::cli::Arguments;

/// Prints the script that completes the command line in a shell.
pub(super) fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut command = Arguments::command();
    // It would panic where standard output cannot be written.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "innkeeper", &mut script);
    print(format_args!("{}", String::from_utf8_lossy(&script)))?;
    Ok(ExitCode::SUCCESS)
}
