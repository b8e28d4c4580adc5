//! Values of the environment and the file as flags, as if they had been typed.

use std::ffi::OsString;
use std::path::Path;

use clap::{Arg, ArgMatches, Command};

use super::error::{Mistake, reason};
use super::key::{is_switch, is_switch_off};

/// A value as if it had been typed. A switch that has its default is not typed at all.
pub(super) fn as_typed(
    command: &Command,
    setting: &Arg,
    value: &OsString,
) -> Result<Option<OsString>, Mistake> {
    let Some(long) = setting.get_long() else {
        // A path that looks like a flag or a command is none.
        let value = value.clone();
        let is_dashed = value.as_encoded_bytes().starts_with(b"-");
        let is_command = value == "help" || command.find_subcommand(&value).is_some();
        let path = if is_dashed || is_command { Path::new(".").join(value).into() } else { value };
        return Ok(Some(path));
    };
    let mut flag = OsString::from(format!("--{long}"));
    if is_switch(setting) {
        let is_on = match value.to_str() {
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            _ => return Err("write true or false".into()),
        };
        return Ok((is_on != is_switch_off(setting)).then_some(flag));
    }
    flag.push("=");
    flag.push(value);
    Ok(Some(flag))
}

/// Reads these flags alone, so that the source of a mistake can be named.
pub(super) fn try_alone(
    command: &Command,
    begin: &[OsString],
    flags: &[OsString],
) -> Result<(), Mistake> {
    let all = [begin, flags].concat();
    command.clone().try_get_matches_from(all).map(drop).map_err(|error| reason(&error))
}

/// What was typed of a setting, as flags again.
pub(super) fn retyped(command: &Command, matches: &ArgMatches, setting: &Arg) -> Vec<OsString> {
    if is_switch(setting) {
        let on = if is_switch_off(setting) { "false" } else { "true" };
        return as_typed(command, setting, &on.into()).ok().flatten().into_iter().collect();
    }
    let values = matches.get_raw(setting.get_id().as_str()).into_iter().flatten();
    values
        .filter_map(|value| as_typed(command, setting, &value.to_owned()).ok().flatten())
        .collect()
}
