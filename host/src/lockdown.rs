//! Gives up what serving does not need, once everything is open.
//!
//! The guest has no way out of its sandbox, and files are opened beneath the root alone.
//! This is for the day on which one of the two is wrong: the process then still cannot
//! read what it need not, write, connect or run a program.
//!
//! - Landlock (Linux 5.13; landlock(7)): which files, and no TCP connections.
//! - seccomp (Linux 3.17; seccomp(2)): no system call that runs, traces or mounts anything,
//!   or changes the kernel.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
};
use seccompiler::{SeccompAction, SeccompFilter, TargetArch};

/// What the process still needs.
#[derive(Clone, Debug, Default)]
pub struct Needs {
    /// Directories and files to read.
    pub read: Vec<PathBuf>,
    /// Directories to make files in, and to write and remove them.
    pub write: Vec<PathBuf>,
}

/// What was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lockdown {
    /// How far the kernel enforces which files may be opened.
    pub files: Enforced,
    /// Whether system calls are filtered.
    pub calls: Enforced,
}

/// How far the kernel enforces something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Enforced {
    /// All of it.
    Fully,
    /// What this kernel knows of it.
    Partly,
    /// Nothing.
    Not,
}

impl Enforced {
    /// Its name, in messages and reports.
    pub fn name(self) -> &'static str {
        match self {
            Enforced::Fully => "fully",
            Enforced::Partly => "partly",
            Enforced::Not => "not",
        }
    }
}

impl fmt::Display for Lockdown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (files, calls) = (self.files.name(), self.calls.name());
        write!(f, "files and connections {files} confined, system calls {calls} filtered")
    }
}

/// Confines this thread, and each that it starts. To be called before others are.
///
/// The error is a sentence. What the kernel does not know is no error, but told.
pub fn lock_down(needs: &Needs) -> Result<Lockdown, String> {
    let files = confine_files(needs).map_err(|error| format!("Landlock: {error}"))?;
    let calls = match filter_calls() {
        Ok(()) => Enforced::Fully,
        Err(error) => {
            tracing::warn!("system calls are not filtered: {error}");
            Enforced::Not
        }
    };
    Ok(Lockdown { files, calls })
}

fn confine_files(needs: &Needs) -> Result<Enforced, String> {
    let abi = ABI::V6;
    let told = |error: landlock::RulesetError| error.to_string();
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))
        .and_then(|ruleset| ruleset.handle_access(AccessNet::from_all(abi)))
        // Signals to others, and abstract sockets: not to those of systemd, which has one
        // for `sd_notify` in containers.
        .and_then(|ruleset| ruleset.scope(Scope::Signal))
        .and_then(Ruleset::create)
        .map_err(told)?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write =
        read | AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let rules = needs.read.iter().map(|path| (path, read));
    for (path, access) in rules.chain(needs.write.iter().map(|path| (path, write))) {
        let rule = rule(path, access)?;
        ruleset = ruleset.add_rule(rule).map_err(told)?;
    }
    let status = ruleset.restrict_self().map_err(told)?;
    Ok(match status.ruleset {
        RulesetStatus::FullyEnforced => Enforced::Fully,
        RulesetStatus::PartiallyEnforced => Enforced::Partly,
        RulesetStatus::NotEnforced => Enforced::Not,
    })
}

fn rule(path: &Path, access: BitFlags<AccessFs>) -> Result<PathBeneath<PathFd>, String> {
    let opened = PathFd::new(path).map_err(|error| format!("{}: {error}", path.display()))?;
    // Of a file there is nothing to list.
    let access = if path.is_dir() { access } else { access & AccessFs::from_file(ABI::V6) };
    Ok(PathBeneath::new(opened, access))
}

/// System calls that no part of a server makes. They fail with EPERM, so that what tries
/// one all the same goes on.
#[rustfmt::skip]
const REFUSED: &[libc::c_long] = &[
    // Other programs, and other processes.
    libc::SYS_execve, libc::SYS_execveat, libc::SYS_ptrace,
    libc::SYS_process_vm_readv, libc::SYS_process_vm_writev, libc::SYS_pidfd_getfd,
    // The tree of files, and ways around it.
    libc::SYS_mount, libc::SYS_umount2, libc::SYS_pivot_root, libc::SYS_chroot,
    libc::SYS_move_mount, libc::SYS_open_tree, libc::SYS_fsopen, libc::SYS_fsmount,
    libc::SYS_open_by_handle_at, libc::SYS_name_to_handle_at,
    // Other namespaces and users.
    libc::SYS_unshare, libc::SYS_setns,
    libc::SYS_setuid, libc::SYS_setgid, libc::SYS_setreuid, libc::SYS_setregid,
    libc::SYS_setresuid, libc::SYS_setresgid, libc::SYS_setgroups, libc::SYS_capset,
    // The kernel.
    libc::SYS_bpf, libc::SYS_perf_event_open, libc::SYS_userfaultfd, libc::SYS_kexec_load,
    libc::SYS_init_module, libc::SYS_finit_module, libc::SYS_delete_module,
    libc::SYS_io_uring_setup, libc::SYS_keyctl, libc::SYS_add_key, libc::SYS_request_key,
    // The machine.
    libc::SYS_reboot, libc::SYS_swapon, libc::SYS_swapoff, libc::SYS_sethostname,
    libc::SYS_setdomainname, libc::SYS_settimeofday, libc::SYS_clock_settime, libc::SYS_acct,
    libc::SYS_quotactl, libc::SYS_syslog, libc::SYS_personality,
];

fn filter_calls() -> Result<(), String> {
    let told = |error: &dyn fmt::Display| error.to_string();
    let architecture =
        TargetArch::try_from(std::env::consts::ARCH).map_err(|error| told(&error))?;
    let rules: BTreeMap<i64, _> = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    let refusal = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refusal, architecture)
        .map_err(|error| told(&error))?;
    let program: seccompiler::BpfProgram =
        filter.try_into().map_err(|error: seccompiler::BackendError| told(&error))?;
    seccompiler::apply_filter(&program).map_err(|error| told(&error))
}
