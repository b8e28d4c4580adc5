//! `[sandbox]`: what the process keeps once everything is open.

use std::path::PathBuf;

use clap::Args;

/// What the process keeps once everything is open.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub struct SandboxSettings {
    /// Do not enter the sandbox once everything is open
    ///
    /// In the sandbox (Landlock and seccomp) the process can open only what is in the root, the
    /// compiled guests, and by name its guest, cases and log. It can neither connect nor run a
    /// program.
    #[arg(id = "no_sandbox", long = "no-sandbox", hide_short_help = true)]
    pub disabled: bool,

    /// Report each system call that the sandbox refuses
    ///
    /// On standard error, each call once, by its name. Finds the call that is missing where
    /// something fails with "Operation not permitted" or "Function not implemented".
    #[arg(id = "sandbox_report", long = "sandbox-report", hide_short_help = true)]
    pub report: bool,

    /// A directory that may be read besides the root
    ///
    /// The guest, its cases and the log need no such permission: they are opened by name in any
    /// directory. May be given several times.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub allow_read: Vec<PathBuf>,
}
