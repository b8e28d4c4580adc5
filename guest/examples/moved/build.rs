//! Stops the build if the table of redirects is malformed, so that the guest never sees
//! such a table.

#[expect(dead_code, unreachable_pub, reason = "the guest's own module; here it only checks")]
#[path = "src/table.rs"]
mod table;

use std::process::ExitCode;

const TABLE: &str = "redirects.txt";

fn main() -> ExitCode {
    for source in ["build.rs", "src/table.rs", TABLE] {
        println!("cargo::rerun-if-changed={source}");
    }
    let checked = std::fs::read_to_string(TABLE)
        .map_err(|error| error.to_string())
        .and_then(|text| table::check(&text).map_err(|fault| fault.to_string()));
    match checked {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            println!("cargo::error={TABLE}: {problem}");
            ExitCode::FAILURE
        }
    }
}
