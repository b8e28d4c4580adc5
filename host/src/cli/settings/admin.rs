//! `[admin]`: where the administration listens, and the token that it asks for.

use std::path::PathBuf;

use clap::Args;

use crate::cli::values::admin_address;
use crate::transport::ListenAddress;

/// Where the administration listens, and the token that it asks for.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Admin")]
pub struct AdminSettings {
    /// Address of the administration [default: none]
    ///
    /// It has health, metrics, status, and replaces the guest. unix:PATH is a socket that only
    /// this user may open.
    #[arg(id = "admin", long = "admin", value_name = "ADDR:PORT|unix:PATH", value_parser = admin_address)]
    pub listen: Option<ListenAddress>,

    /// File with the token that a change of the guest requires
    ///
    /// At least 16 characters on one line. Without a token, changes are refused at an address,
    /// and allowed at a socket.
    #[arg(id = "admin_token_file", long = "admin-token-file", value_name = "FILE")]
    pub token_file: Option<PathBuf>,
}
