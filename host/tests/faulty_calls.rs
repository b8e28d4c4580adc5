//! A program some of whose system calls fail.

use std::collections::BTreeMap;
use std::process::Command;
use std::thread;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::running::Program;

/// A system call that fails with EIO, if this argument of it compares so with this value.
pub type Fault = (libc::c_long, Option<(u8, SeccompCmpOp, u64)>);

/// Starts a program with these faults: a filter of system calls stays with those that a
/// thread starts.
pub fn start_with(faults: &[Fault], command: Command) -> Program {
    let mut rules: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (call, argument) in faults {
        let rules = rules.entry(*call).or_default();
        if let Some((argument, comparison, value)) = argument {
            let length = SeccompCmpArgLen::Qword;
            let condition = SeccompCondition::new(*argument, length, comparison.clone(), *value);
            rules.push(SeccompRule::new(vec![condition.unwrap()]).unwrap());
        }
    }
    let fails = SeccompAction::Errno(libc::EIO.cast_unsigned());
    let architecture = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, fails, architecture).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    let start = move || {
        seccompiler::apply_filter(&program).unwrap();
        Program::start(command, 1)
    };
    thread::spawn(start).join().unwrap()
}
