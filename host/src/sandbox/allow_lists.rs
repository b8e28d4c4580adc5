//! What each kind of process may call: lists of what is allowed, made from what runs.
//!
//! Beside a call that is made stand its older forms, which other C libraries and older
//! kernels have for it. What is missing is found with `--sandbox-report`.

use libc::c_long;

use super::calls::{Allowed, Argument};

/// Threads, memory, signals to itself, the time: what all roles do.
#[rustfmt::skip]
const RUNNING: &[c_long] = &[
    // Memory. How it is mapped is looked at below.
    libc::SYS_brk, libc::SYS_munmap, libc::SYS_mremap, libc::SYS_mprotect,
    libc::SYS_madvise, libc::SYS_membarrier,
    // Threads. How they are made is looked at below.
    libc::SYS_futex, libc::SYS_set_robust_list, libc::SYS_rseq, libc::SYS_gettid,
    libc::SYS_sched_yield, libc::SYS_sched_getaffinity, libc::SYS_getcpu,
    libc::SYS_exit, libc::SYS_exit_group,
    // Signals that arrive, and what was interrupted by one.
    libc::SYS_rt_sigaction, libc::SYS_rt_sigprocmask, libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack, libc::SYS_restart_syscall,
    // The time.
    libc::SYS_clock_gettime, libc::SYS_clock_getres, libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep, libc::SYS_gettimeofday,
    // What it is.
    libc::SYS_getpid, libc::SYS_getuid, libc::SYS_geteuid, libc::SYS_getgid, libc::SYS_getegid,
    libc::SYS_getrusage, libc::SYS_sysinfo, libc::SYS_uname, libc::SYS_getrandom,
    // What is open.
    libc::SYS_read, libc::SYS_readv, libc::SYS_write, libc::SYS_writev, libc::SYS_close,
    libc::SYS_fstat, libc::SYS_lseek, libc::SYS_ppoll,
    libc::SYS_sendto, libc::SYS_sendmsg, libc::SYS_recvfrom, libc::SYS_recvmsg,
    libc::SYS_shutdown,
];

/// The same, where there are older forms.
#[cfg(target_arch = "x86_64")]
const RUNNING_FORMERLY: &[c_long] = &[libc::SYS_time, libc::SYS_poll];
#[cfg(not(target_arch = "x86_64"))]
const RUNNING_FORMERLY: &[c_long] = &[];

/// Files, which Landlock confines, and what is done with those that are open.
#[rustfmt::skip]
const FILES: &[c_long] = &[
    libc::SYS_openat, libc::SYS_openat2, libc::SYS_statx, libc::SYS_newfstatat,
    libc::SYS_statfs, libc::SYS_fstatfs, libc::SYS_faccessat, libc::SYS_faccessat2,
    libc::SYS_readlinkat, libc::SYS_getdents64, libc::SYS_getcwd,
    libc::SYS_pread64, libc::SYS_preadv, libc::SYS_preadv2, libc::SYS_sendfile,
    libc::SYS_fadvise64, libc::SYS_readahead, libc::SYS_flock,
    // What compiled guests are kept with.
    libc::SYS_pwrite64, libc::SYS_fsync, libc::SYS_fdatasync, libc::SYS_renameat,
    libc::SYS_renameat2, libc::SYS_unlinkat, libc::SYS_memfd_create, libc::SYS_ftruncate,
    // Changes of the guest's file.
    libc::SYS_inotify_init1, libc::SYS_inotify_add_watch, libc::SYS_inotify_rm_watch,
];

/// The same, where there are older forms.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const FILES_FORMERLY: &[c_long] = &[
    libc::SYS_open, libc::SYS_stat, libc::SYS_lstat, libc::SYS_access, libc::SYS_readlink,
    libc::SYS_getdents, libc::SYS_rename, libc::SYS_unlink,
];
#[cfg(not(target_arch = "x86_64"))]
const FILES_FORMERLY: &[c_long] = &[];

/// Connections that clients make, and waiting for them.
#[rustfmt::skip]
const CONNECTIONS: &[c_long] = &[
    libc::SYS_accept, libc::SYS_accept4, libc::SYS_getsockname, libc::SYS_getpeername,
    libc::SYS_getsockopt, libc::SYS_dup, libc::SYS_dup3,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_eventfd2,
    // Processes that it started before.
    libc::SYS_wait4, libc::SYS_waitid,
];

/// The same, where there are older forms.
#[cfg(target_arch = "x86_64")]
const CONNECTIONS_FORMERLY: &[c_long] = &[libc::SYS_epoll_wait, libc::SYS_dup2];
#[cfg(not(target_arch = "x86_64"))]
const CONNECTIONS_FORMERLY: &[c_long] = &[];

/// Starting programs, and all that one of this kind does before it enters its own role.
#[rustfmt::skip]
const STARTING: &[c_long] = &[
    libc::SYS_clone, libc::SYS_execve, libc::SYS_execveat, libc::SYS_wait4, libc::SYS_waitid,
    libc::SYS_kill, libc::SYS_tgkill, libc::SYS_tkill, libc::SYS_pidfd_open,
    libc::SYS_pidfd_send_signal, libc::SYS_setsid, libc::SYS_setpgid, libc::SYS_getppid,
    libc::SYS_pipe2, libc::SYS_dup, libc::SYS_dup3, libc::SYS_close_range, libc::SYS_fcntl,
    libc::SYS_openat, libc::SYS_statx, libc::SYS_newfstatat, libc::SYS_pread64,
    libc::SYS_faccessat, libc::SYS_readlinkat, libc::SYS_getcwd, libc::SYS_getdents64,
    libc::SYS_set_tid_address, libc::SYS_prlimit64, libc::SYS_setpriority,
    libc::SYS_sched_setscheduler, libc::SYS_sched_setattr, libc::SYS_prctl,
    libc::SYS_memfd_create, libc::SYS_ftruncate,
    libc::SYS_epoll_create1, libc::SYS_epoll_ctl, libc::SYS_epoll_pwait, libc::SYS_eventfd2,
    // Their own sandboxes.
    libc::SYS_seccomp, LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF,
];

/// The same, where there are older forms.
#[cfg(target_arch = "x86_64")]
#[rustfmt::skip]
const STARTING_FORMERLY: &[c_long] = &[
    libc::SYS_fork, libc::SYS_vfork, libc::SYS_open, libc::SYS_stat, libc::SYS_access,
    libc::SYS_readlink, libc::SYS_pipe, libc::SYS_dup2, libc::SYS_arch_prctl,
    libc::SYS_epoll_wait,
];
#[cfg(not(target_arch = "x86_64"))]
const STARTING_FORMERLY: &[c_long] = &[];

// Not every version of the C library's headers has them; they are the same everywhere.
const LANDLOCK_CREATE_RULESET: c_long = 444;
const LANDLOCK_ADD_RULE: c_long = 445;
const LANDLOCK_RESTRICT_SELF: c_long = 446;

/// Connections that the fetcher makes, names that it resolves, and what it keeps in its folder.
#[rustfmt::skip]
const FETCHING: &[c_long] = &[
    libc::SYS_connect, libc::SYS_bind, libc::SYS_sendmmsg, libc::SYS_recvmmsg,
    libc::SYS_setsockopt, libc::SYS_mkdirat, libc::SYS_symlinkat, libc::SYS_utimensat,
    libc::SYS_getrlimit,
];

/// The same, where there are older forms.
#[cfg(target_arch = "x86_64")]
const FETCHING_FORMERLY: &[c_long] = &[libc::SYS_mkdir, libc::SYS_symlink, libc::SYS_rmdir];
#[cfg(not(target_arch = "x86_64"))]
const FETCHING_FORMERLY: &[c_long] = &[];

/// The sockets of the fetcher, socket(2): to authorities, to resolvers, and to the kernel, which
/// tells the addresses of this machine when one of several is chosen (RFC 6724).
const FETCHING_SOCKETS: &[i32] = &[libc::AF_INET, libc::AF_INET6, libc::AF_UNIX, libc::AF_NETLINK];

/// What is done with descriptors, fcntl(2): no signals to others by way of an owner, and no
/// leases.
const DESCRIPTOR_COMMANDS: &[i32] = &[
    libc::F_DUPFD,
    libc::F_DUPFD_CLOEXEC,
    libc::F_GETFD,
    libc::F_SETFD,
    libc::F_GETFL,
    libc::F_SETFL,
    // Of the memory that instances are copied from.
    libc::F_ADD_SEALS,
    libc::F_GET_SEALS,
];

/// What is asked of open files, ioctl(2): numbers, as C libraries do not agree on their type.
const DEVICE_REQUESTS: &[u32] = &[
    // `PAGEMAP_SCAN` of linux/fs.h: what an instance has written to.
    0xc060_6610,
    // FIONREAD, FIONBIO, FIOCLEX.
    0x541b,
    0x5421,
    0x5451,
    // `SIOCOUTQ`, tcp(7): what of a connection is not acknowledged.
    0x5411,
    // `TCGETS`: whether standard output is a terminal.
    0x5401,
];

/// `PR_GET_AUXV` of linux/prctl.h: what the kernel told the process at its start, such as the
/// size of a page.
const PR_GET_AUXV: i32 = 0x4155_5856;

/// Names of threads, and of memory, which some C libraries give.
const PROCESS_OPTIONS: &[i32] =
    &[libc::PR_SET_NAME, libc::PR_GET_NAME, libc::PR_SET_VMA, PR_GET_AUXV];

/// What is set on sockets of clients, and of those that listen when the server stops, socket(7) and tcp(7).
const SOCKET_OPTIONS: &[(i32, &[i32])] = &[
    (libc::SOL_SOCKET, &[libc::SO_LINGER, libc::SO_SNDBUF, libc::SO_RCVBUF, libc::SO_KEEPALIVE]),
    (
        libc::IPPROTO_TCP,
        &[
            libc::TCP_NODELAY,
            libc::TCP_CORK,
            libc::TCP_QUICKACK,
            libc::TCP_USER_TIMEOUT,
            libc::TCP_NOTSENT_LOWAT,
            libc::TCP_LINGER2,
            libc::TCP_DEFER_ACCEPT,
        ],
    ),
];

/// What memory of a compiler is, mmap(2): its own, so that the limit of what it may write to
/// counts all of it. Stacks that grow by themselves have another limit, and shared memory none.
const OWN_MEMORY: i32 = libc::MAP_PRIVATE;

/// What may be said of it besides.
const OF_OWN_MEMORY: i32 = libc::MAP_ANONYMOUS
    | libc::MAP_FIXED
    | libc::MAP_FIXED_NOREPLACE
    | libc::MAP_NORESERVE
    | libc::MAP_POPULATE
    | libc::MAP_STACK;

/// What makes a thread of this process, and no other process or namespace.
const THREAD: i32 = libc::CLONE_VM | libc::CLONE_SIGHAND | libc::CLONE_THREAD;

/// `CLONE_DETACHED` of sched.h, which means nothing any more: musl sets it.
const CLONE_DETACHED: i32 = 0x0040_0000;

/// What C libraries want for threads besides.
const OF_THREADS: i32 = libc::CLONE_FS
    | libc::CLONE_FILES
    | libc::CLONE_SYSVSEM
    | libc::CLONE_SETTLS
    | libc::CLONE_PARENT_SETTID
    | libc::CLONE_CHILD_SETTID
    | libc::CLONE_CHILD_CLEARTID
    | CLONE_DETACHED;

/// What serves: files, the clients' connections, threads.
///
/// It makes no sockets of its own, connects nowhere, and starts no program.
pub(super) fn server() -> Allowed {
    let mut allowed = running();
    allowed.always(&[libc::SYS_mmap]);
    allowed.always(FILES);
    allowed.always(FILES_FORMERLY);
    allowed.always(CONNECTIONS);
    allowed.always(CONNECTIONS_FORMERLY);
    allowed.one_of(libc::SYS_ioctl, 1, DEVICE_REQUESTS);
    // How the runtime tells itself of signals.
    allowed.one_of(libc::SYS_socketpair, 0, &bits(&[libc::AF_UNIX]));
    for (level, options) in SOCKET_OPTIONS {
        for option in *options {
            let [level, option] = [*level, *option].map(i32::cast_unsigned);
            allowed.only(libc::SYS_setsockopt, &[Argument::Is(1, level), Argument::Is(2, option)]);
        }
    }
    allowed
}

/// What compiles guests: memory, threads, and the descriptors that it was started with.
///
/// It also runs the `configure` of a guest, which takes nothing beyond that: memory that holds code,
/// signals of its own that tell traps, a thread that is a clock.
pub(super) fn compiler() -> Allowed {
    let mut allowed = running();
    let [all, some] = [OWN_MEMORY, OF_OWN_MEMORY].map(|flags| u64::from(flags.cast_unsigned()));
    allowed.only(libc::SYS_mmap, &[Argument::HasBits { number: 3, all, some }]);
    allowed
}

/// What starts other processes of this program, each of which enters a role of its own.
pub(super) fn spawner() -> Allowed {
    let mut allowed = running();
    allowed.always(&[libc::SYS_mmap]);
    allowed.always(STARTING);
    allowed.always(STARTING_FORMERLY);
    allowed.one_of(libc::SYS_ioctl, 1, DEVICE_REQUESTS);
    allowed.one_of(libc::SYS_socketpair, 0, &bits(&[libc::AF_UNIX]));
    allowed
}

/// What opens files by their names for a server.
pub(super) fn opener() -> Allowed {
    let mut allowed = running();
    allowed.always(&[libc::SYS_mmap, libc::SYS_openat]);
    #[cfg(target_arch = "x86_64")]
    allowed.always(&[libc::SYS_open]);
    allowed
}

/// What orders certificates.
pub(super) fn fetcher() -> Allowed {
    let mut allowed = running();
    allow_fetching(&mut allowed);
    allowed
}

/// What starts it.
pub(super) fn fetcher_keeper() -> Allowed {
    let mut allowed = spawner();
    allow_fetching(&mut allowed);
    allowed
}

fn allow_fetching(allowed: &mut Allowed) {
    allowed.always(&[libc::SYS_mmap]);
    allowed.always(FILES);
    allowed.always(FILES_FORMERLY);
    allowed.always(CONNECTIONS);
    allowed.always(CONNECTIONS_FORMERLY);
    allowed.always(FETCHING);
    allowed.always(FETCHING_FORMERLY);
    allowed.one_of(libc::SYS_ioctl, 1, DEVICE_REQUESTS);
    allowed.one_of(libc::SYS_socket, 0, &bits(FETCHING_SOCKETS));
    allowed.one_of(libc::SYS_socketpair, 0, &bits(&[libc::AF_UNIX]));
}

fn running() -> Allowed {
    let mut allowed = Allowed::default();
    allowed.always(RUNNING);
    allowed.always(RUNNING_FORMERLY);
    let [all, some] = [THREAD, OF_THREADS].map(|flags| u64::from(flags.cast_unsigned()));
    allowed.only(libc::SYS_clone, &[Argument::HasBits { number: 0, all, some }]);
    allowed.one_of(libc::SYS_fcntl, 1, &bits(DESCRIPTOR_COMMANDS));
    allowed.one_of(libc::SYS_prctl, 0, &bits(PROCESS_OPTIONS));
    // A process that aborts sends itself a signal.
    let this = std::process::id();
    allowed.one_of(libc::SYS_tgkill, 0, &[this]);
    #[cfg(target_env = "musl")]
    allowed.always(&[libc::SYS_tkill]);
    // Its own limits, and its own rank.
    allowed.one_of(libc::SYS_prlimit64, 0, &[0]);
    let priority_of_this = [Argument::Is(0, 0), Argument::Is(1, 0)];
    allowed.only(libc::SYS_setpriority, &priority_of_this);
    allowed
}

fn bits(values: &[i32]) -> Vec<u32> {
    values.iter().map(|value| value.cast_unsigned()).collect()
}
