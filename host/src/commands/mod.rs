//! The commands of the program, one file for each.
//!
//! - [`serve`]: serve a directory; [`dev`]: the same while a guest is edited.
//!   - `root`, `greeting`, `interfaces`, `browser`: what it tells at the start.
//!   - `own_files`: what of its own lies where it serves.
//!   - `open`: what it opens first; `user`: whom it becomes; `sandbox`: what it gives up then.
//!   - `lifecycle`: what it does until it stops; `signals`: the signals that it obeys.
//! - [`check_config`]: check the configuration (`--check`), each site of it (`check_site`); `worst_case`: how much memory it
//!   allows.
//! - `acme`: certificates that the server orders; [`acme_trial`]: whether it would get them, and `port_holder`: what is in
//!   the way.
//! - `progress`: tells what a command works on for long.
//! - `client_buckets`: the key by which clients fall into buckets.
//! - [`mod@test`]: run cases against a guest.
//! - [`check`]: describe a guest, measure it, and validate it.
//! - [`compile`]: compile a guest ahead of time.
//! - [`bake`]: make one guest of a guest and its data; `output_file`: a file is written.
//! - [`explain`]: show the response to one request.
//! - [`new`]: create a project for a guest.
//! - [`password`]: make the line of a user; `terminal`: ask without echo.
//! - [`health`]: ask a server for its health.
//! - `documentation`: completions; `manual`: the pages of the manual.
//! - `engine`, `guest` and `rules`: what several of them need to run a guest.

mod acme;
pub mod acme_trial;
pub mod bake;
mod browser;
pub mod check;
pub mod check_config;
mod check_site;
mod check_tls;
mod client_buckets;
pub mod compile;
pub mod dev;
mod documentation;
mod engine;
pub mod explain;
mod findings;
mod greeting;
mod guest;
pub mod health;
mod interfaces;
mod lifecycle;
mod listeners;
mod manual;
pub mod new;
mod open;
mod open_root;
mod output_file;
mod own_files;
pub mod password;
mod port_holder;
mod progress;
mod root;
mod root_links;
mod rules;
mod sandbox;
pub mod serve;
mod signals;
mod sites;
mod stdout;
mod terminal;
pub mod test;
mod tls;
mod user;
mod worst_case;

use std::process::ExitCode;

use crate::cli::{Command, Configuration, effective};

/// Runs the command that the configuration names. The exit code is 1 where a check fails.
pub fn run(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    let arguments = &configuration.arguments;
    let settings = arguments.settings();
    if settings.print_config {
        let mut text = effective::write(&configuration.effective);
        for site in &configuration.sites {
            text.push_str(&effective::write_site(&site.effective()));
        }
        for site in settings.sites() {
            text.push_str(&rules::in_words(site));
        }
        stdout::print(format_args!("{text}"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if settings.check {
        return check_config::run(settings);
    }
    match &arguments.command {
        None => serve::run(configuration),
        Some(Command::Dev(arguments)) => dev::run(configuration, arguments),
        Some(Command::Acme(arguments)) => acme_trial::run(&arguments.serve),
        Some(Command::New(arguments)) => new::run(arguments),
        Some(Command::Test(arguments)) => test::run(arguments),
        Some(Command::Check(arguments)) => check::run(arguments),
        Some(Command::Compile(arguments)) => compile::run(arguments),
        Some(Command::Bake(arguments)) => bake::run(arguments),
        Some(Command::Explain(arguments)) => explain::run(arguments),
        Some(Command::Password(arguments)) => password::run(arguments),
        Some(Command::Health { admin }) => health::run(admin),
        Some(Command::Completions { shell }) => documentation::completions(*shell),
        Some(Command::Man { command }) => manual::run(command.as_deref()),
    }
}
