//! Reports each system call that is refused, to find one that the list lacks.
//!
//! The kernel sends SIGSYS instead of refusing the call (`SECCOMP_RET_TRAP`, seccomp(2)),
//! and the handler writes a line and refuses it. This works where there is no audit, as in
//! containers, and nothing more than the process itself is needed.

use std::io::{self, Cursor, Write};
use std::sync::atomic::{AtomicU64, Ordering};

use libc::{c_int, c_long, c_void};

use super::names::{FIRST_NEW, name_of};

/// Reported calls: one bit for each number. A call in a loop is reported once.
static REPORTED: [AtomicU64; 8] = [const { AtomicU64::new(0) }; 8];

/// Reports refused calls on standard error from now on.
#[expect(unsafe_code, reason = "the kernel hands over the registers of the call by a pointer")]
pub(super) fn start() -> io::Result<()> {
    // SAFETY: all zeros are a valid `sigaction`: no flags, an empty mask, no handler.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = refuse as *const () as usize;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: `refuse` has the signature that `SA_SIGINFO` asks for, and does only what a
    // signal handler may do (signal-safety(7)): it touches its arguments, atomic numbers and
    // its stack, and calls write(2).
    let done = unsafe { libc::sigaction(libc::SIGSYS, &raw const action, std::ptr::null_mut()) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "the kernel hands over the registers of the call by a pointer")]
extern "C" fn refuse(_: c_int, _: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: with `SA_SIGINFO` the third argument points to the `ucontext_t` of what was
    // interrupted, which nothing else uses while the handler runs (sigaction(2)).
    let context = unsafe { &mut *context.cast::<libc::ucontext_t>() };
    let call = interrupted(context);
    if is_first(call.number) {
        tell(&call);
    }
    let error = if call.number >= FIRST_NEW { libc::ENOSYS } else { libc::EPERM };
    give(context, error);
}

/// A call as it was made.
struct Call {
    number: c_long,
    arguments: [u64; 3],
}

#[cfg(target_arch = "x86_64")]
fn interrupted(context: &libc::ucontext_t) -> Call {
    let register = |name: c_int| context.uc_mcontext.gregs[name.cast_unsigned() as usize];
    let arguments = [libc::REG_RDI, libc::REG_RSI, libc::REG_RDX];
    let arguments = arguments.map(|name| register(name).cast_unsigned());
    Call { number: register(libc::REG_RAX), arguments }
}

#[cfg(target_arch = "x86_64")]
fn give(context: &mut libc::ucontext_t, error: c_int) {
    context.uc_mcontext.gregs[libc::REG_RAX.cast_unsigned() as usize] = -i64::from(error);
}

#[cfg(target_arch = "aarch64")]
fn interrupted(context: &libc::ucontext_t) -> Call {
    let registers = &context.uc_mcontext.regs;
    let number = registers[8].cast_signed();
    Call { number, arguments: [registers[0], registers[1], registers[2]] }
}

#[cfg(target_arch = "aarch64")]
fn give(context: &mut libc::ucontext_t, error: c_int) {
    context.uc_mcontext.regs[0] = (-i64::from(error)).cast_unsigned();
}

/// Whether it was not reported before. A call with an unknown number is reported each time.
fn is_first(number: c_long) -> bool {
    let Ok(number) = usize::try_from(number) else { return true };
    let Some(reported) = REPORTED.get(number / 64) else { return true };
    let bit = 1 << (number % 64);
    reported.fetch_or(bit, Ordering::Relaxed) & bit == 0
}

/// Whether it was reported.
#[cfg(test)]
pub(super) fn is_reported(number: c_long) -> bool {
    let number = usize::try_from(number).expect("a number of a call");
    REPORTED[number / 64].load(Ordering::Relaxed) & (1 << (number % 64)) != 0
}

/// Writes a line, without memory of its own.
fn tell(call: &Call) {
    let mut line = Cursor::new([0_u8; 160]);
    let [first, second, third] = call.arguments;
    let name = name_of(call.number).unwrap_or("of an unknown name");
    // The buffer is long enough; a line that is cut would be no error.
    let _ = writeln!(
        line,
        "innkeeper: the sandbox refused the system call {name} ({}) with {first:#x}, {second:#x}, \
         {third:#x}",
        call.number
    );
    let length = usize::try_from(line.position()).unwrap_or_default();
    let _ = rustix::io::write(rustix::stdio::stderr(), &line.get_ref()[..length]);
}
