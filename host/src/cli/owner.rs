//! Users and groups by name or number: who may open a socket in the file system.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use super::error::Mistake;
use crate::lock::lock;

/// Who a file is given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The number of a user.
    pub user: Option<u32>,
    /// The number of a group.
    pub group: Option<u32>,
}

/// Reads `USER`, `USER:GROUP` or `:GROUP`, each a name or a number.
pub(super) fn parse(text: &str) -> Result<Owner, Mistake> {
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    let user = Some(user).filter(|user| !user.is_empty());
    if user.is_none() && group.is_none() {
        return Err("write USER, USER:GROUP or :GROUP, as in :www-data".into());
    }
    let number = |name: Option<&str>, file, kind| {
        name.map(|name| find(name, file).ok_or_else(|| unknown(kind, name, file))).transpose()
    };
    Ok(Owner {
        user: number(user, "/etc/passwd", "user")?,
        group: number(group, "/etc/group", "group")?,
    })
}

/// Reads the bits of a mode, in octal.
pub(super) fn mode(text: &str) -> Result<Mode, Mistake> {
    match u32::from_str_radix(text, 8) {
        Ok(mode) if mode <= 0o777 => Ok(Mode(mode)),
        _ => Err("write a mode in octal, as in 660".into()),
    }
}

/// The bits of a mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u32);

fn unknown(kind: &str, name: &str, file: &str) -> Mistake {
    format!("there is no {kind} {name:?} in {file}; write a number for one that is elsewhere")
        .into()
}

/// The numbers that were found. A configuration is read again in the sandbox, which has none of the
/// files.
static FOUND: Mutex<BTreeMap<(String, String), u32>> = Mutex::new(BTreeMap::new());

/// The number of a name in passwd(5) or group(5), whose lines are `name:password:number:…`.
fn find(name: &str, file: &str) -> Option<u32> {
    if let Ok(number) = name.parse() {
        return Some(number);
    }
    let of = (name.to_owned(), file.to_owned());
    let read = fs::read_to_string(file).ok();
    let mut found = lock(&FOUND);
    match read.map(|text| number_of(name, &text)) {
        Some(Some(number)) => {
            found.insert(of, number);
            Some(number)
        }
        Some(None) => None,
        None => found.get(&of).copied(),
    }
}

fn number_of(name: &str, text: &str) -> Option<u32> {
    let line = text.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Mode, Owner, mode, parse};

    #[test]
    fn names_and_numbers_are_understood() {
        for (text, user, group) in [
            ("root", Some(0), None),
            ("root:root", Some(0), Some(0)),
            (":33", None, Some(33)),
            ("7:", Some(7), None),
        ] {
            assert_eq!(parse(text), Ok(Owner { user, group }), "{text}");
        }
        let error = parse("no-such-user").expect_err("no user").to_string();
        assert!(error.contains("no user \"no-such-user\" in /etc/passwd"), "{error}");
        assert!(parse(":").is_err() && parse("").is_err());
    }

    #[test]
    fn mode_is_octal() {
        assert_eq!(mode("660"), Ok(Mode(0o660)));
        assert_eq!(mode("0666"), Ok(Mode(0o666)));
        assert!(mode("888").is_err() && mode("1777").is_err() && mode("").is_err());
    }
}
