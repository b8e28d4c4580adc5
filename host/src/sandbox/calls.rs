//! Which system calls are allowed (seccomp(2)).
//!
//! A call that is not on the list of the [role](super::allow_lists) fails with EPERM. A call that
//! Linux 5.0 did not have fails with ENOSYS, as it does there: the C library and others try
//! new calls, and fall back to old ones on that error alone. Calls of another architecture
//! end the process.

use std::collections::BTreeMap;

use libc::c_long;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};

use super::error::SandboxError;
use super::names::FIRST_NEW;
use super::report;

/// What becomes of a system call that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusals {
    /// It fails.
    Silent,
    /// It fails, and a line on standard error names it.
    Reported,
}

/// What may be called, and with which arguments.
#[derive(Default)]
pub(super) struct Allowed {
    /// For each call, what its arguments have to be: one of these. Without any it is always
    /// allowed, which costs nothing (the kernel remembers it, Linux 5.11).
    rules: BTreeMap<i64, Vec<Vec<Argument>>>,
}

/// What an argument, counted from 0, has to be.
#[derive(Clone, Copy)]
pub(super) enum Argument {
    /// This, in its lower 32 bits.
    Is(u8, u32),
    /// All bits of the first mask are set, and none that is in neither of the masks.
    HasBits { number: u8, all: u64, some: u64 },
}

impl Allowed {
    /// Allows these calls.
    pub(super) fn always(&mut self, calls: &[c_long]) {
        for &call in calls {
            self.rules.insert(call, Vec::new());
        }
    }

    /// Allows a call with these arguments, unless it is always allowed.
    pub(super) fn only(&mut self, call: c_long, arguments: &[Argument]) {
        let is_always = self.rules.get(&call).is_some_and(Vec::is_empty);
        if !is_always {
            self.rules.entry(call).or_default().push(arguments.to_vec());
        }
    }

    /// Allows a call with each of these as the argument of this number.
    pub(super) fn one_of(&mut self, call: c_long, number: u8, values: &[u32]) {
        for &value in values {
            self.only(call, &[Argument::Is(number, value)]);
        }
    }

    /// The filter, as the kernel takes it.
    pub(super) fn compile(self, refusals: Refusals) -> Result<BpfProgram, SandboxError> {
        let mut rules = BTreeMap::new();
        for (call, alternatives) in self.rules {
            let alternatives = alternatives.iter().map(|arguments| {
                SeccompRule::new(
                    arguments.iter().map(Argument::condition).collect::<Result<Vec<_>, _>>()?,
                )
            });
            rules.insert(call, alternatives.collect::<Result<Vec<_>, _>>()?);
        }
        let refusal = match refusals {
            Refusals::Silent => SeccompAction::Errno(libc::EPERM.cast_unsigned()),
            Refusals::Reported => SeccompAction::Trap,
        };
        let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
        let filter =
            SeccompFilter::new(rules, refusal.clone(), SeccompAction::Allow, architecture)?;
        let mut program: BpfProgram = filter.try_into()?;
        // The last instruction refuses what is not on the list. The number is still loaded.
        program.pop();
        let no_such_call = u32::from(SeccompAction::Errno(libc::ENOSYS.cast_unsigned()));
        let of_new = match refusals {
            Refusals::Silent => no_such_call,
            Refusals::Reported => u32::from(refusal.clone()),
        };
        program.extend([
            // New threads ask for it while all signals are blocked: a report would end them.
            jump(libc::BPF_JEQ, number(libc::SYS_clone3), 0, 1),
            give(no_such_call),
            jump(libc::BPF_JGE, number(FIRST_NEW), 0, 1),
            give(of_new),
            give(u32::from(refusal)),
        ]);
        Ok(program)
    }

    /// Puts it in force, for this thread and those that it starts.
    pub(super) fn enforce(self, refusals: Refusals) -> Result<(), SandboxError> {
        let program = self.compile(refusals)?;
        if refusals == Refusals::Reported {
            report::start().map_err(SandboxError::Report)?;
        }
        Ok(seccompiler::apply_filter(&program)?)
    }
}

impl Argument {
    fn condition(&self) -> Result<SeccompCondition, seccompiler::BackendError> {
        match *self {
            Argument::Is(argument, value) => SeccompCondition::new(
                argument,
                SeccompCmpArgLen::Dword,
                SeccompCmpOp::Eq,
                u64::from(value),
            ),
            Argument::HasBits { number, all, some } => SeccompCondition::new(
                number,
                SeccompCmpArgLen::Qword,
                SeccompCmpOp::MaskedEq(!some),
                all,
            ),
        }
    }
}

/// Numbers of system calls are small.
fn number(call: c_long) -> u32 {
    u32::try_from(call).unwrap_or(u32::MAX)
}

/// Compares the number that is loaded, and skips this many instructions.
fn jump(comparison: u32, with: u32, if_so: u8, if_not: u8) -> sock_filter {
    instruction(libc::BPF_JMP | comparison | libc::BPF_K, with, if_so, if_not)
}

/// Ends the filter.
fn give(action: u32) -> sock_filter {
    instruction(libc::BPF_RET | libc::BPF_K, action, 0, 0)
}

fn instruction(code: u32, k: u32, jt: u8, jf: u8) -> sock_filter {
    // Codes of instructions have 8 bits.
    sock_filter { code: u16::try_from(code).unwrap_or_default(), jt, jf, k }
}
