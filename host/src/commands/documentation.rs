//! `innkeeper completions SHELL` and `innkeeper man`: what packages ship to describe the command
//! line.

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

/// Prints the manual page.
pub(super) fn manual_page() -> anyhow::Result<ExitCode> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Arguments::command()).render(&mut page)?;
    print(format_args!("{}", String::from_utf8_lossy(&page)))?;
    Ok(ExitCode::SUCCESS)
}
