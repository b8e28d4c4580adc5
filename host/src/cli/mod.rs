//! The command line, the environment and the configuration file become [`Arguments`].
//!
//! - [`arguments`]: the command line; [`command`]: the arguments of each command.
//! - [`settings`]: the settings of a server, a tree.
//! - [`key`]: the flag, the variable and the key of a setting.
//! - [`sources`]: which of the three sets what; [`environment`] and `file` are two of them.
//!   - [`sites`]: the sites in the file; `site_identity`: their hosts and names, `idn`: in ASCII; `lines`: where
//!     it says what; `typed`: values as flags.
//!   - `modifiers`: settings that do nothing without another one.
//!   - [`configured`]: what commands besides the server take of its configuration.
//! - [`effective`]: the configuration that counts, written as a file.
//! - [`error`]: why there is none.
//! - [`owner`]: users and groups of a socket in the file system.
//! - [`root`]: the directory that is served where none is named.
//! - [`request_line`]: the line that `innkeeper explain` is given, also as a URL.
//! - `outside`: what is set outside of them. `read_sites`: sites as they were read before.
//! - `stray`: a word that has no place on the command line.
//! - `values`: reads the value of a flag.

pub mod arguments;
pub mod command;
pub mod configured;
mod domain;
pub mod effective;
pub mod environment;
pub mod error;
mod file;
mod foreign;
mod foreign_key;
mod idn;
pub mod key;
mod lines;
mod modifiers;
mod outside;
pub mod owner;
mod read_sites;
pub mod request_line;
pub mod root;
pub mod settings;
mod site_identity;
pub mod sites;
pub mod sources;
mod stray;
mod typed;
mod values;

pub use arguments::{Arguments, Command};
pub use command::{
    AcmeArguments, BakeArguments, CheckArguments, CompileArguments, DevArguments, ExplainArguments,
    Language, NewArguments, OutcomeFormat, PasswordArguments, Template, TestArguments,
};
pub use effective::EffectiveSetting;
pub use error::ConfigError;
pub use settings::guest::GuestLimitSettings;
pub use settings::{Settings, SiteSettings};
pub use sites::EffectiveSite;
pub use sources::Configuration;
