//! What each role may do, and what it may not: by its filter, and by the kernel.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;

use libc::c_long;
use seccompiler::sock_filter;

use super::{Enforced, Needs, Refusals, Role, allow_lists, enter, report};

const ALLOWED: u32 = libc::SECCOMP_RET_ALLOW;
const EPERM: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM.cast_unsigned();
const ENOSYS: u32 = libc::SECCOMP_RET_ERRNO | libc::ENOSYS.cast_unsigned();

/// What a filter decides on a call of this architecture: the few instructions that it is
/// made of, as the kernel runs them.
fn verdict(program: &[sock_filter], call: c_long, arguments: &[u64]) -> u32 {
    const AUDIT_ARCH: u32 = if cfg!(target_arch = "x86_64") { 0xc000_003e } else { 0xc000_00b7 };
    let word = |offset: u32| match offset {
        0 => u32::try_from(call).expect("a number of a call"),
        4 => AUDIT_ARCH,
        _ => {
            let (argument, part) = ((offset - 16) / 8, (offset - 16) % 8);
            let value = arguments.get(argument as usize).copied().unwrap_or_default();
            u32::try_from((value >> (part * 8)) & 0xffff_ffff).expect("32 bits")
        }
    };
    let (mut at, mut loaded) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let holds = match u32::from(code) {
            0x20 => {
                loaded = word(k);
                continue;
            }
            0x54 => {
                loaded &= k;
                continue;
            }
            0x05 => {
                at += k as usize;
                continue;
            }
            0x06 => return k,
            0x15 => loaded == k,
            0x25 => loaded > k,
            0x35 => loaded >= k,
            other => panic!("instruction {other:#x}"),
        };
        at += usize::from(if holds { jt } else { jf });
    }
}

fn flags(flags: &[i32]) -> u64 {
    flags.iter().map(|flag| u64::from(flag.cast_unsigned())).fold(0, |all, flag| all | flag)
}

#[test]
fn only_what_is_on_the_list_is_allowed() {
    let server = allow_lists::server().compile(Refusals::Silent).expect("a filter");
    let compiler = allow_lists::compiler().compile(Refusals::Silent).expect("a filter");
    let spawner = allow_lists::spawner().compile(Refusals::Silent).expect("a filter");
    let number = |value: i32| u64::from(value.cast_unsigned());
    let own = flags(&[libc::MAP_PRIVATE, libc::MAP_ANONYMOUS, libc::MAP_NORESERVE]);
    let shared = flags(&[libc::MAP_SHARED, libc::MAP_ANONYMOUS]);
    let growing = own | flags(&[libc::MAP_GROWSDOWN]);
    for (call, arguments, of_server, of_compiler, of_spawner) in [
        (libc::SYS_read, &[0][..], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_futex, &[], ALLOWED, ALLOWED, ALLOWED),
        // Memory that is its own, and memory that no limit counts.
        (libc::SYS_mmap, &[0, 4096, 3, own], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_mmap, &[0, 4096, 3, shared], ALLOWED, EPERM, ALLOWED),
        (libc::SYS_mmap, &[0, 4096, 3, growing], ALLOWED, EPERM, ALLOWED),
        (libc::SYS_openat2, &[], ALLOWED, ENOSYS, ENOSYS),
        (libc::SYS_openat, &[], ALLOWED, EPERM, ALLOWED),
        (libc::SYS_accept4, &[], ALLOWED, EPERM, EPERM),
        (libc::SYS_execve, &[], EPERM, EPERM, ALLOWED),
        (libc::SYS_wait4, &[], ALLOWED, EPERM, ALLOWED),
        // Sockets of its own.
        (libc::SYS_socket, &[number(libc::AF_INET), 1], EPERM, EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_UNIX), 1], EPERM, EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_NETLINK), 3], EPERM, EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_PACKET), 3], EPERM, EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_ALG), 5], EPERM, EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_VSOCK), 1], EPERM, EPERM, EPERM),
        (libc::SYS_socketpair, &[number(libc::AF_UNIX), 1], ALLOWED, EPERM, ALLOWED),
        (libc::SYS_socketpair, &[number(libc::AF_TIPC), 1], EPERM, EPERM, EPERM),
        (libc::SYS_connect, &[], EPERM, EPERM, EPERM),
        (libc::SYS_bind, &[], EPERM, EPERM, EPERM),
        (libc::SYS_listen, &[], EPERM, EPERM, EPERM),
        // Options of sockets, descriptors, devices and the process, one by one.
        (libc::SYS_setsockopt, &[5, number(libc::IPPROTO_TCP), 1], ALLOWED, EPERM, EPERM),
        (
            libc::SYS_setsockopt,
            &[5, number(libc::SOL_SOCKET), number(libc::SO_ATTACH_FILTER)],
            EPERM,
            EPERM,
            EPERM,
        ),
        (libc::SYS_setsockopt, &[5, number(libc::IPPROTO_IP), 64], EPERM, EPERM, EPERM),
        (libc::SYS_fcntl, &[5, number(libc::F_SETFL)], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_fcntl, &[5, number(libc::F_SETOWN)], EPERM, EPERM, ALLOWED),
        (libc::SYS_ioctl, &[5, 0xc060_6610], ALLOWED, EPERM, ALLOWED),
        (libc::SYS_ioctl, &[5, libc::TIOCSTI], EPERM, EPERM, EPERM),
        (libc::SYS_prctl, &[number(libc::PR_SET_NAME)], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_prctl, &[number(libc::PR_SET_MM)], EPERM, EPERM, ALLOWED),
        // Others, and the rank and limits of others.
        (libc::SYS_tgkill, &[u64::from(std::process::id())], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_tgkill, &[1], EPERM, EPERM, ALLOWED),
        (libc::SYS_kill, &[1], EPERM, EPERM, ALLOWED),
        (libc::SYS_prlimit64, &[0], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_prlimit64, &[1], EPERM, EPERM, ALLOWED),
        (libc::SYS_setpriority, &[0, 0], ALLOWED, ALLOWED, ALLOWED),
        (libc::SYS_setpriority, &[0, 1], EPERM, EPERM, ALLOWED),
        (libc::SYS_ptrace, &[], EPERM, EPERM, EPERM),
        (libc::SYS_process_vm_readv, &[], EPERM, EPERM, EPERM),
        (libc::SYS_pidfd_getfd, &[], ENOSYS, ENOSYS, ENOSYS),
        // The tree of files, and what files are like.
        (libc::SYS_mount, &[], EPERM, EPERM, EPERM),
        (libc::SYS_chroot, &[], EPERM, EPERM, EPERM),
        (libc::SYS_fchmod, &[], EPERM, EPERM, EPERM),
        (libc::SYS_fchmodat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_fchown, &[], EPERM, EPERM, EPERM),
        (libc::SYS_fchownat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_mknodat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_linkat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_symlinkat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_mkdirat, &[], EPERM, EPERM, EPERM),
        (libc::SYS_truncate, &[], EPERM, EPERM, EPERM),
        (libc::SYS_fsetxattr, &[], EPERM, EPERM, EPERM),
        (libc::SYS_open_by_handle_at, &[], EPERM, EPERM, EPERM),
        // Users, namespaces, the kernel, the machine.
        (libc::SYS_unshare, &[], EPERM, EPERM, EPERM),
        (libc::SYS_setns, &[], EPERM, EPERM, EPERM),
        (libc::SYS_setuid, &[], EPERM, EPERM, EPERM),
        (libc::SYS_setfsuid, &[], EPERM, EPERM, EPERM),
        (libc::SYS_capset, &[], EPERM, EPERM, EPERM),
        (libc::SYS_bpf, &[], EPERM, EPERM, EPERM),
        (libc::SYS_io_uring_setup, &[], ENOSYS, ENOSYS, ENOSYS),
        (libc::SYS_userfaultfd, &[], EPERM, EPERM, EPERM),
        (libc::SYS_perf_event_open, &[], EPERM, EPERM, EPERM),
        (libc::SYS_keyctl, &[], EPERM, EPERM, EPERM),
        (libc::SYS_kexec_load, &[], EPERM, EPERM, EPERM),
        (libc::SYS_kexec_file_load, &[], EPERM, EPERM, EPERM),
        (libc::SYS_finit_module, &[], EPERM, EPERM, EPERM),
        (libc::SYS_clock_settime, &[], EPERM, EPERM, EPERM),
        (libc::SYS_clock_adjtime, &[], EPERM, EPERM, EPERM),
        (libc::SYS_adjtimex, &[], EPERM, EPERM, EPERM),
        (libc::SYS_reboot, &[], EPERM, EPERM, EPERM),
        (libc::SYS_personality, &[], EPERM, EPERM, EPERM),
        // The C library falls back to `clone`, whose flags can be seen.
        (libc::SYS_clone3, &[], ENOSYS, ENOSYS, ENOSYS),
        // Calls of x32, and those of later kernels.
        ((1 << 30) | libc::SYS_read, &[], ENOSYS, ENOSYS, ENOSYS),
        ((1 << 30) | libc::SYS_execve, &[], ENOSYS, ENOSYS, ENOSYS),
        ((1 << 30) | 520, &[], ENOSYS, ENOSYS, ENOSYS),
        (999, &[], ENOSYS, ENOSYS, ENOSYS),
    ] {
        let name = super::names::name_of(call).unwrap_or("unknown");
        for (role, program, expected) in [
            ("server", &server, of_server),
            ("compiler", &compiler, of_compiler),
            ("spawner", &spawner, of_spawner),
        ] {
            let verdict = verdict(program, call, arguments);
            assert_eq!(verdict, expected, "{role}: {name} ({call}) with {arguments:x?}");
        }
    }
}

#[test]
fn only_the_fetcher_connects_and_it_listens_nowhere() {
    let compile = |allowed: super::calls::Allowed| allowed.compile(Refusals::Silent);
    let server = compile(allow_lists::server()).expect("a filter");
    let fetcher = compile(allow_lists::fetcher()).expect("a filter");
    let number = |value: i32| u64::from(value.cast_unsigned());
    for (call, arguments, of_server, of_fetcher) in [
        (libc::SYS_connect, &[][..], EPERM, ALLOWED),
        (libc::SYS_socket, &[number(libc::AF_INET), 1], EPERM, ALLOWED),
        (libc::SYS_socket, &[number(libc::AF_INET6), 1], EPERM, ALLOWED),
        (libc::SYS_socket, &[number(libc::AF_PACKET), 3], EPERM, EPERM),
        (libc::SYS_socket, &[number(libc::AF_VSOCK), 1], EPERM, EPERM),
        (libc::SYS_listen, &[], EPERM, EPERM),
        (libc::SYS_execve, &[], EPERM, EPERM),
        (libc::SYS_fchmodat, &[], EPERM, EPERM),
        (libc::SYS_linkat, &[], EPERM, EPERM),
        (libc::SYS_ptrace, &[], EPERM, EPERM),
        (libc::SYS_setuid, &[], EPERM, EPERM),
        (libc::SYS_unshare, &[], EPERM, EPERM),
        (libc::SYS_mount, &[], EPERM, EPERM),
        (libc::SYS_clone3, &[], ENOSYS, ENOSYS),
        (libc::SYS_io_uring_setup, &[], ENOSYS, ENOSYS),
    ] {
        let name = super::names::name_of(call).unwrap_or("unknown");
        for (role, program, expected) in
            [("server", &server, of_server), ("fetcher", &fetcher, of_fetcher)]
        {
            assert_eq!(
                verdict(program, call, arguments),
                expected,
                "{role}: {name} {arguments:x?}"
            );
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[test]
fn older_forms_of_calls_are_allowed_and_refused_as_the_newer_ones() {
    let server = allow_lists::server().compile(Refusals::Silent).expect("a filter");
    for call in [libc::SYS_open, libc::SYS_stat, libc::SYS_poll, libc::SYS_epoll_wait] {
        assert_eq!(verdict(&server, call, &[]), ALLOWED, "{call}");
    }
    for call in [
        libc::SYS_fork,
        libc::SYS_vfork,
        libc::SYS_chmod,
        libc::SYS_chown,
        libc::SYS_lchown,
        libc::SYS_link,
        libc::SYS_symlink,
        libc::SYS_mkdir,
        libc::SYS_mknod,
        libc::SYS_creat,
        libc::SYS_iopl,
        libc::SYS_ioperm,
        libc::SYS_modify_ldt,
        libc::SYS_arch_prctl,
    ] {
        assert_eq!(verdict(&server, call, &[]), EPERM, "{call}");
    }
}

#[test]
fn clone_makes_threads_and_nothing_else() {
    let server = allow_lists::server().compile(Refusals::Silent).expect("a filter");
    let verdict = |flags: u64| verdict(&server, libc::SYS_clone, &[flags]);
    let thread = flags(&[libc::CLONE_VM, libc::CLONE_SIGHAND, libc::CLONE_THREAD]);
    let glibc = thread
        | flags(&[libc::CLONE_FS, libc::CLONE_FILES, libc::CLONE_SYSVSEM, libc::CLONE_SETTLS])
        | flags(&[libc::CLONE_PARENT_SETTID, libc::CLONE_CHILD_CLEARTID]);
    // What glibc and musl ask for, by number.
    assert_eq!(glibc, 0x003d_0f00);
    assert_eq!([verdict(glibc), verdict(0x007d_0f00)], [ALLOWED, ALLOWED]);
    // Another process, as `fork` and `posix_spawn` make it.
    for process in [0, flags(&[libc::SIGCHLD]), flags(&[libc::CLONE_VM, libc::CLONE_VFORK]) | 17] {
        assert_eq!(verdict(process), EPERM, "{process:#x}");
    }
    for other in [
        libc::CLONE_NEWUSER,
        libc::CLONE_NEWNS,
        libc::CLONE_NEWPID,
        libc::CLONE_NEWNET,
        libc::CLONE_NEWCGROUP,
        libc::CLONE_PTRACE,
        libc::CLONE_PARENT,
        libc::CLONE_VFORK,
        libc::SIGCHLD,
    ] {
        assert_eq!(verdict(glibc | flags(&[other])), EPERM, "{other:#x}");
        assert_eq!(verdict(flags(&[other])), EPERM, "{other:#x}");
    }
    assert_eq!(verdict(glibc | 1 << 32), EPERM);
}

/// Runs this on a thread that has entered a role: it is for good.
fn confined(role: Role<'_>, refusals: Refusals, attempt: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let run = || {
            let sandbox = enter(role, refusals).expect("a sandbox");
            assert_eq!(sandbox.calls, Enforced::Fully);
            attempt();
        };
        scope.spawn(run).join().expect("no panic");
    });
}

/// Without Landlock calls would be refused all the same, and files not: the kernel that
/// tests run on has it.
#[track_caller]
fn assert_refused<T>(what: io::Result<T>) {
    let error = what.err().expect("it is refused");
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}");
}

#[test]
fn the_kernel_holds_a_server_to_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    for name in ["root", "cache"] {
        fs::create_dir(path(name)).expect("a folder");
        fs::write(path(name).join("file"), "").expect("a file");
    }
    fs::write(path("outside"), "secret").expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = listener.local_addr().expect("an address");
    let needs = Needs { read: vec![path("root")], write: vec![path("cache")], ..Needs::default() };
    let attempt = || {
        File::open(path("root/file")).expect("it may read there");
        fs::read_dir(path("root")).expect("it may list there");
        assert_refused(OpenOptions::new().append(true).open(path("root/file")));
        assert_refused(File::create(path("root/new")));
        fs::write(path("cache/new"), "").expect("it may write there");
        fs::rename(path("cache/new"), path("cache/file")).expect("it may rename there");
        fs::remove_file(path("cache/file")).expect("it may remove there");
        assert_refused(fs::rename(path("root/file"), path("cache/file")));
        assert_refused(fs::create_dir(path("cache/folder")));
        assert_refused(symlink(path("outside"), path("cache/link")));
        assert_refused(fs::set_permissions(path("root/file"), Permissions::from_mode(0o777)));
        assert_refused(File::open(path("outside")));
        assert_refused(File::open("/etc/passwd"));
        assert_refused(fs::read_dir(folder.path()));
        assert_refused(TcpStream::connect(address));
        assert_refused(TcpListener::bind("127.0.0.1:0"));
        assert_refused(UdpSocket::bind("127.0.0.1:0"));
        assert_refused(UnixStream::connect(path("socket")));
        UnixStream::pair().expect("it may talk to itself");
        assert_refused(Command::new("/bin/true").spawn());
        // Threads of it are confined as it is.
        thread::spawn(move || assert_refused(TcpStream::connect(address)))
            .join()
            .expect("no panic");
    };
    confined(Role::Server(&needs), Refusals::Silent, attempt);
    File::open(path("outside")).expect("other threads are not confined");
}

#[test]
fn the_kernel_holds_a_compiler_to_it() {
    let (mut ours, mut theirs) = UnixStream::pair().expect("sockets");
    let attempt = || {
        assert_refused(File::open("/"));
        assert_refused(File::open("/proc/self/exe"));
        assert_refused(UnixStream::pair());
        assert_refused(TcpListener::bind("127.0.0.1:0"));
        assert_refused(Command::new("/bin/true").spawn());
        let threads = thread::available_parallelism().expect("a number");
        thread::spawn(move || vec![0_u8; 1 << 20].len() + threads.get()).join().expect("a thread");
        io::Write::write_all(&mut ours, b"done").expect("what it has it may use");
    };
    confined(Role::Compiler, Refusals::Silent, attempt);
    let mut done = [0; 4];
    io::Read::read_exact(&mut theirs, &mut done).expect("what was written");
    assert_eq!(&done, b"done");
}

#[test]
fn a_spawner_starts_this_program_and_no_other() {
    let program = std::env::current_exe().expect("a program");
    let attempt = || {
        let started = Command::new(&program).arg("--list").arg("no-such-test").output();
        assert!(started.expect("this one may be started").status.success());
        assert_refused(Command::new("/bin/true").spawn());
        assert_refused(File::open("/etc/passwd"));
        assert_refused(TcpListener::bind("127.0.0.1:0"));
    };
    confined(Role::Spawner, Refusals::Silent, attempt);
}

#[test]
fn an_opener_opens_files_and_does_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    fs::write(path("file"), "").expect("a file");
    let attempt = || {
        File::open("/etc/passwd").expect("it may open what it is named");
        OpenOptions::new().append(true).create(true).open(path("log")).expect("it may append");
        assert_refused(File::options().write(true).truncate(true).open(path("file")));
        assert_refused(fs::read_dir("/"));
        assert_refused(fs::remove_file(path("file")));
        assert_refused(fs::rename(path("file"), path("other")));
        assert_refused(fs::create_dir(path("folder")));
        assert_refused(UnixStream::pair());
        assert_refused(UdpSocket::bind("127.0.0.1:0"));
        assert_refused(Command::new("/bin/true").spawn());
        thread::spawn(|| ()).join().expect("a thread");
    };
    confined(Role::Opener, Refusals::Silent, attempt);
}

#[test]
fn a_fetcher_connects_and_reads_no_site() {
    let (site, state) = (tempfile::tempdir(), tempfile::tempdir());
    let (site, state) = (site.expect("a folder"), state.expect("a folder"));
    fs::write(site.path().join("index.html"), "").expect("a file");
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let authority = listener.local_addr().expect("an address");
    let needs = Needs {
        read: vec!["/etc/hosts".into()],
        write: vec![state.path().to_owned()],
        ..Needs::default()
    };
    let attempt = || {
        TcpStream::connect(authority).expect("it may connect");
        UdpSocket::bind("127.0.0.1:0").expect("it may ask name servers");
        File::open("/etc/hosts").expect("it may resolve names");
        let path = |name: &str| state.path().join(name);
        fs::create_dir(path("a")).expect("it may write there");
        fs::write(path("a/b"), "").expect("it may write there");
        symlink("a", path("link")).expect("it may write there");
        fs::rename(path("link"), path("name")).expect("it may write there");
        fs::remove_dir_all(path("a")).expect("it may write there");
        assert_refused(File::open(site.path().join("index.html")));
        assert_refused(fs::read_dir(site.path()));
        assert_refused(fs::write(site.path().join("other"), ""));
        assert_refused(File::open("/etc/passwd"));
        assert_refused(TcpListener::bind("127.0.0.1:0"));
        assert_refused(Command::new("/bin/true").spawn());
    };
    confined(Role::Fetcher(&needs), Refusals::Silent, attempt);
}

#[test]
fn what_is_refused_is_reported_and_fails_as_it_would_without() {
    let needs = Needs { read: vec!["/".into()], ..Needs::default() };
    let attempt = || {
        assert!(!report::is_reported(libc::SYS_socket));
        assert_refused(UdpSocket::bind("127.0.0.1:0"));
        assert!(report::is_reported(libc::SYS_socket));
        // New threads try a call that is refused, and are made all the same.
        thread::spawn(|| ()).join().expect("a thread");
        assert!(!report::is_reported(libc::SYS_clone3));
    };
    confined(Role::Server(&needs), Refusals::Reported, attempt);
}
