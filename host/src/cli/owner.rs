//! Users and groups by name or number: who may open a socket in the file system, and whom the
//! server becomes.

use std::collections::BTreeMap;
use std::fs;
use std::sync::Mutex;

use super::error::Mistake;
use crate::lock::lock;
use crate::unprivileged::Account;

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

/// Reads `USER` or `USER:GROUP`, each a name or a number, as whom a server runs.
pub(super) fn account(text: &str) -> Result<Account, Mistake> {
    let (name, group) = match text.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (text, None),
    };
    if name.is_empty() {
        return Err("write USER or USER:GROUP, as in www-data".into());
    }
    let read = fs::read_to_string("/etc/passwd").ok();
    let mut found = lock(&FOUND_ACCOUNTS);
    // As for single numbers: in the sandbox the files are not there.
    if let (None, Some(account)) = (&read, found.get(text)) {
        return Ok(account.clone());
    }
    let groups = fs::read_to_string("/etc/group").unwrap_or_default();
    let account = account_of(name, group, &read.unwrap_or_default(), &groups)?;
    found.insert(text.to_owned(), account.clone());
    Ok(account)
}

fn account_of(
    name: &str,
    group: Option<&str>,
    passwd: &str,
    groups: &str,
) -> Result<Account, Mistake> {
    let fields = |line: &str| line.split(':').map(str::to_owned).collect::<Vec<_>>();
    let is_it = |fields: &Vec<String>| {
        [fields.first(), fields.get(2)].into_iter().flatten().any(|field| field == name)
    };
    let entry = passwd.lines().map(fields).find(is_it);
    let number = |at: usize| entry.as_ref().and_then(|entry| entry.get(at)?.parse::<u32>().ok());
    let user = number(2).or_else(|| name.parse().ok()).ok_or_else(|| {
        Mistake::from(format!(
            "there is no user {name:?} in /etc/passwd; name another one with --user, or write \
             UID:GID for one that is elsewhere (--user root stays root)"
        ))
    })?;
    let group = match group {
        Some(group) => group
            .parse()
            .ok()
            .or_else(|| number_of(group, groups))
            .ok_or_else(|| unknown("group", group, "/etc/group"))?,
        None => number(3).ok_or_else(|| {
            Mistake::from(format!("the user {name} is not in /etc/passwd: write {name}:GROUP"))
        })?,
    };
    let name = entry.and_then(|entry| entry.into_iter().next()).unwrap_or_else(|| name.to_owned());
    let is_member = |line: &&str| {
        line.split(':').nth(3).is_some_and(|members| members.split(',').any(|it| it == name))
    };
    let of_line = |line: &str| line.split(':').nth(2)?.parse().ok();
    let mut all: Vec<u32> = groups.lines().filter(is_member).filter_map(of_line).collect();
    all.push(group);
    all.sort_unstable();
    all.dedup();
    Ok(Account { name, user, group, groups: all })
}

/// The accounts that were found, by what was typed.
static FOUND_ACCOUNTS: Mutex<BTreeMap<String, Account>> = Mutex::new(BTreeMap::new());

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
    use super::{Account, Mode, Owner, account_of, mode, parse};

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
    fn account_has_its_group_and_those_that_list_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/srv:/bin/false\n";
        let groups = "root:x:0:\nweb:x:44:\nkeys:x:7:a,web\nothers:x:8:webs\n";
        let of = |name, group| account_of(name, group, passwd, groups);
        let web = |group, groups: &[u32]| Account {
            name: "web".to_owned(),
            user: 33,
            group,
            groups: groups.to_vec(),
        };
        assert_eq!(of("web", None), Ok(web(44, &[7, 44])));
        assert_eq!(of("33", Some("keys")), Ok(web(7, &[7])));
        let other = Account { name: "9".to_owned(), user: 9, group: 10, groups: vec![10] };
        assert_eq!(of("9", Some("10")), Ok(other));
        for (name, group, told) in [
            ("none", None, "no user \"none\""),
            ("9", None, "write 9:GROUP"),
            ("web", Some("none"), "no group \"none\""),
        ] {
            let error = of(name, group).expect_err(told).to_string();
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn mode_is_octal() {
        assert_eq!(mode("660"), Ok(Mode(0o660)));
        assert_eq!(mode("0666"), Ok(Mode(0o666)));
        assert!(mode("888").is_err() && mode("1777").is_err() && mode("").is_err());
    }
}
