//! The program, running.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::fixture::{Client, Reply};

pub const PROGRAM: &str = env!("CARGO_BIN_EXE_innkeeper");

/// How long a test waits for a line before it fails. Nothing takes that long.
const PATIENCE: Duration = Duration::from_secs(60);

/// What the sandbox reports of a system call that is not on its list.
const REFUSED: &str = "the sandbox refused";

/// The folder of the workspace, where `html` is.
pub fn workspace() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program with these arguments, on any port, serving this folder.
pub fn serving(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    // Guests that tests have in common are compiled once, and nobody's own folder is used.
    command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR"));
    command.arg(root).args(["--listen", "127.0.0.1:0"]).args(arguments);
    command
}

/// What the operator is told at this place of an administration.
pub fn told(admin: SocketAddr, path: &str) -> String {
    let mut client = Client::connect(admin);
    client.send(format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"));
    client.reply().text().to_owned()
}

/// What changes of an administration need.
pub const TOKEN: &str = "a-token-of-the-tests";

/// A client that has begun a change, whose body has this length.
pub fn begin_change(admin: SocketAddr, line: &str, length: usize) -> Client {
    let mut client = Client::connect(admin);
    client.send(format!(
        "{line} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\
         Content-Length: {length}\r\n\r\n"
    ));
    client
}

/// What a command ended with.
pub struct Ended {
    pub code: i32,
    pub out: String,
    pub errors: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// Runs the program with these arguments in a folder, until it ends. What it compiles is kept with
/// what other tests compile. What it tells of long work, on a busy machine, is left out.
pub fn run(folder: &Path, arguments: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(arguments).current_dir(folder);
    let output = command.env("XDG_CACHE_HOME", env!("CARGO_TARGET_TMPDIR")).output().unwrap();
    let Ended { code, out, errors } = output.into();
    let is_progress = |line: &&str| line.ends_with(" …\n") || line.ends_with(" s so far\n");
    let errors = errors.split_inclusive('\n').filter(|line| !is_progress(line)).collect();
    Ended { code, out, errors }
}

/// Waits until this holds: an answer is there a moment before it is counted.
#[track_caller]
pub fn until(holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "it never comes to that");
        thread::yield_now();
    }
}

/// The address in a line, which may be one of JSON.
pub fn address(line: &str) -> SocketAddr {
    let (_, behind) = line.split_once("://").unwrap();
    behind.split(['/', '"']).next().unwrap().trim_end().parse().unwrap()
}

/// A running program. It is killed when dropped.
pub struct Program {
    pub child: Child,
    pub addresses: Vec<SocketAddr>,
    lines: mpsc::Receiver<String>,
    /// What it said on standard error so far.
    pub said: String,
}

impl Program {
    /// Starts it, and waits until it listens on each of its addresses.
    pub fn start(command: Command, listeners: usize) -> Program {
        Program::start_with(command, Stdio::null(), listeners)
    }

    /// The same, with this as its standard input.
    pub fn start_with(mut command: Command, input: Stdio, listeners: usize) -> Program {
        command.stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A system call that is missing from the sandbox's list makes a test fail.
        command.env("INNKEEPER_SANDBOX_REPORT", "true");
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let mut program = Program { child, addresses: Vec::new(), lines, said: String::new() };
        for _ in 0..listeners {
            let line = program.wait_for("listening on");
            program.addresses.push(address(&line));
        }
        program
    }

    /// Waits until it says something with this in it, and gives that line.
    #[track_caller]
    pub fn wait_for(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.said += &line;
                    self.said.push('\n');
                    if line.contains(part) {
                        return line;
                    }
                }
                Err(_) => panic!("it never says {part:?}, only:\n{}", self.said),
            }
        }
    }

    pub fn client(&self) -> Client {
        Client::connect(self.addresses[0])
    }

    pub fn get(&self, target: &str) -> Reply {
        let mut client = self.client();
        client.send(format!("GET {target} HTTP/1.1\r\nHost: test\r\n\r\n"));
        client.reply()
    }

    /// The address of its administration, where it has one.
    pub fn admin(&mut self) -> SocketAddr {
        address(&self.wait_for("administration at"))
    }

    /// Bytes of its memory, by their name in proc(5).
    pub fn memory(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
        line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
    }

    /// The time that its threads have run so far.
    pub fn cpu_time(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // Of user and system, in ticks of 10 ms (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: u64 = fields[11..13].iter().map(|field| field.parse::<u64>().unwrap()).sum();
        Duration::from_millis(10 * ticks)
    }

    pub fn signal(&self, signal: Signal) {
        let id = Pid::from_child(&self.child);
        kill_process(id, signal).unwrap();
    }

    /// Waits for its end, and gives what it wrote.
    pub fn finish(mut self) -> (ExitStatus, String, String) {
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        let status = self.child.wait().unwrap();
        let mut said = std::mem::take(&mut self.said);
        for line in &self.lines {
            said += &line;
            said.push('\n');
        }
        assert!(!said.contains(REFUSED), "{said}");
        (status, out, said)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if thread::panicking() {
            return;
        }
        self.said.extend(self.lines.iter().map(|line| line + "\n"));
        assert!(!self.said.contains(REFUSED), "{}", self.said);
    }
}
