//! What the benchmarks of the whole server share: the server, and where results go.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, SystemTime};

use innkeeper::guest::Facts;

/// Requests that decisions are measured with.
pub(crate) const LINES: [&[u8]; 4] = [
    b"GET / HTTP/1.1",
    b"GET /style.css?v=1 HTTP/1.1",
    b"GET /notes/2026/caf%C3%A9/ HTTP/1.1",
    b"GET /a/b/../c/./d/e.html HTTP/1.1",
];
pub(crate) const FACTS: Facts<'static> = Facts::plain(IpAddr::V4(Ipv4Addr::LOCALHOST));

pub(crate) fn median(times: &[Duration]) -> Duration {
    let mut times = times.to_vec();
    times.sort();
    times[times.len() / 2]
}

/// How long a benchmark waits for the server to say something.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, ended when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) address: SocketAddr,
    lines: mpsc::Receiver<String>,
}

impl Server {
    /// Starts a server with this guest and these further arguments, on any port.
    pub(crate) fn start(root: &Path, guest: &Path, arguments: &[&str]) -> Server {
        let mut child = Command::new(env!("CARGO_BIN_EXE_innkeeper"))
            .arg(root)
            .args(["--listen", "127.0.0.1:0", "--workers", "2", "--access-log", "off"])
            .arg("--guest")
            .arg(guest)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let errors = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            errors.lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        let address = SocketAddr::from(([0; 4], 0));
        let mut server = Server { child, address, lines };
        let line = server.wait_for("listening on http://");
        let (_, address) = line.split_once("http://").expect("an address");
        server.address = address.parse().expect("an address");
        server
    }

    /// Waits until it says something with this in it, and gives that line.
    pub(crate) fn wait_for(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|_| panic!("the server never says {part:?}"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// Forgets what it said so far.
    pub(crate) fn forget_lines(&self) {
        while self.lines.try_recv().is_ok() {}
    }

    /// KiB of memory that it has now, and that it had at most.
    pub(crate) fn memory_kib(&self) -> (u64, u64) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("the server runs");
        let value = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
            line.trim().trim_end_matches(" kB").parse().expect("a number")
        };
        (value("VmRSS:"), value("VmHWM:"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Writes raw results, one row a sample, to `results/NAME-DATE.csv` beside the benchmarks. A
/// sample is an object; these are its fields, in this order, and one that is absent is empty.
pub(crate) fn keep(name: &str, columns: &[&str], samples: &[serde_json::Value]) {
    let date = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/results");
    let file = format!("{name}-{}.csv", &date[..10]);
    let row = |sample: &serde_json::Value| {
        let fields = columns.iter().map(|&column| match &sample[column] {
            serde_json::Value::Null => String::new(),
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        fields.collect::<Vec<_>>().join(",")
    };
    let rows: Vec<_> = samples.iter().map(row).collect();
    fs::create_dir_all(&folder).expect("a folder for results");
    let text = format!("{}\n{}\n", columns.join(","), rows.join("\n"));
    fs::write(folder.join(&file), text).expect("results are written");
    println!("\nraw results: host/benches/results/{file}");
}

/// The value below which this share of the sorted values lies.
pub(crate) fn quantile(sorted: &[u32], share: f64) -> u32 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index within the slice"
    )]
    let index = (sorted.len() as f64 * share) as usize;
    sorted.get(index.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}
