//! What commands that try a guest take of the configuration of a server.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, Args, Command};

use super::key::settings;

/// The configuration of a server, whose guest or rules a command is about.
#[derive(Debug, Default, Args)]
pub struct Configured {
    /// Use the settings of this file of a server, as far as they concern this command
    ///
    /// Its guest with data and cases, or its rules; limits of guests, and what is served. What is
    /// typed takes precedence, and so do environment variables: as for a server.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,

    /// The site of that file, by its name
    ///
    /// For a file with several tables `[[site]]`. `explain` finds it by the host of the request.
    #[arg(long, value_name = "NAME")]
    pub site: Option<String>,

    /// What is no flag of the command.
    #[arg(skip)]
    pub given: Given,
}

impl Configured {
    /// The guest of a command: the one that is typed, or the server's.
    pub fn guest<'a>(&'a self, typed: Option<&'a Path>) -> Option<&'a Path> {
        typed.or(self.given.guest.as_deref())
    }
}

/// Settings of a server that are no flags of a command: their place among the files that are typed
/// is not known. Those that were typed are not among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// The guest.
    pub guest: Option<PathBuf>,
    /// Its data.
    pub data: Option<PathBuf>,
    /// Its cases.
    pub cases: Vec<PathBuf>,
}

impl Given {
    /// Adds the values of a setting.
    pub(super) fn add(&mut self, setting: &str, values: &[OsString]) {
        let mut paths = values.iter().map(PathBuf::from);
        match setting {
            "guest" => self.guest = paths.next(),
            "data" => self.data = paths.next(),
            "cases" => self.cases = paths.collect(),
            _ => {}
        }
    }
}

/// Whether a command goes by the configuration of a server.
pub(super) fn has_configuration(command: &Command) -> bool {
    command.get_arguments().any(|argument| argument.get_id() == "config")
}

/// The arguments of a command that are settings of a server, each with the one that it is. They
/// have the same name inside; the guest is a flag of a server, and the first file of commands.
pub(super) fn settings_of<'c>(
    own: &'c Command,
    server: &'c Command,
) -> impl Iterator<Item = (&'c Arg, &'c Arg)> {
    settings(own).filter_map(|argument| {
        let setting = settings(server).find(|setting| setting.get_id() == argument.get_id());
        setting.map(|setting| (argument, setting))
    })
}
