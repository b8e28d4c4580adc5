//! Which files may be opened, and that no connection is made (landlock(7)).

use std::fs;
use std::path::PathBuf;

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    PathFdError, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};

use super::error::SandboxError;
use super::outcome::Enforced;
use super::role::Role;

/// The last version of Landlock whose rights are known here (Linux 6.12).
const KNOWN: ABI = ABI::V6;

/// Confines this thread, and each that it starts.
pub(super) fn confine(role: Role<'_>) -> Result<Enforced, SandboxError> {
    let network = match role {
        // Authorities are at any port.
        Role::Fetcher(_) | Role::FetcherKeeper(_) => AccessNet::BindTcp.into(),
        _ => AccessNet::from_all(KNOWN),
    };
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .handle_access(network)?
        // Signals to others, and abstract sockets: not to those of systemd, which has one
        // for `sd_notify` in containers.
        .scope(Scope::Signal)?
        .create()?;
    for (path, access) in rights(role) {
        let opened = PathFd::new(&path).map_err(|error| match error {
            PathFdError::OpenCall { source, path, .. } => SandboxError::Path(path, source),
            other => SandboxError::Path(path.clone(), std::io::Error::other(other)),
        })?;
        // Of a file there is nothing to list.
        let access = if path.is_dir() { access } else { access & AccessFs::from_file(KNOWN) };
        ruleset = ruleset.add_rule(PathBeneath::new(opened, access))?;
    }
    Ok(match ruleset.restrict_self()?.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Fully,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

/// What stays open, and to what.
fn rights(role: Role<'_>) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // A file is made under another name, and renamed.
    let keep = read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile;
    match role {
        Role::Server(needs) => {
            let reads = needs.read.iter().map(|path| (path.clone(), read));
            let writes = needs.write.iter().map(|path| (path.clone(), keep));
            let remove = AccessFs::RemoveFile;
            let removes = needs.remove.iter().map(|path| (path.clone(), remove.into()));
            reads.chain(writes).chain(removes).collect()
        }
        Role::Fetcher(needs) | Role::FetcherKeeper(needs) => {
            let reads = needs.read.iter().map(|path| (path.clone(), read));
            // A certificate and its key are in a folder of their own, which a link leads to.
            let keep = keep
                | AccessFs::MakeDir
                | AccessFs::RemoveDir
                | AccessFs::MakeSym
                | AccessFs::Truncate;
            let writes = needs.write.iter().map(|path| (path.clone(), keep));
            let run = matches!(role, Role::FetcherKeeper(_)).then(what_runs_this_program);
            reads.chain(writes).chain(run.into_iter().flatten()).collect()
        }
        Role::Compiler => Vec::new(),
        // Its names may lead anywhere, and it reads and writes nothing.
        Role::Opener => {
            let open = AccessFs::ReadFile | AccessFs::WriteFile | AccessFs::MakeReg;
            vec![(PathBuf::from("/"), open)]
        }
        Role::Spawner => what_runs_this_program(),
    }
}

/// What it takes to run this program once more.
fn what_runs_this_program() -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let run = AccessFs::Execute | AccessFs::ReadFile;
    let parts = parts_of_this_program().into_iter().map(|path| (path, run));
    // What a program may have instead of standard input and output.
    let null = (PathBuf::from("/dev/null"), AccessFs::ReadFile | AccessFs::WriteFile);
    parts.chain([null]).filter(|(path, _)| path.exists()).collect()
}

/// The files that this program consists of, its libraries and their loader included, and
/// where the loader looks them up.
fn parts_of_this_program() -> Vec<PathBuf> {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mapped = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    // The program itself also where a folder above it is closed to this user.
    let more = ["/proc/self/exe", "/etc/ld.so.cache", "/etc/ld.so.preload"];
    let mut parts: Vec<_> = mapped.chain(more).map(PathBuf::from).collect();
    parts.sort();
    parts.dedup();
    parts
}
