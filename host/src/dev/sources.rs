//! Notices that sources or the site change, and runs the build.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use super::problem::Problem;
use super::state::{Dev, Work};
use crate::clock;
use crate::diagnostics;

/// How long nothing must change before something is done: editors write several files.
const SETTLED: Duration = Duration::from_millis(30);

/// Bytes of a failed build's output that are shown: the last ones.
const SHOWN_BYTES: usize = 16 << 10;

/// Folders in which builds put what they make, or keep what they need.
const NOT_SOURCES: [&str; 5] = ["target", "node_modules", "__pycache__", "dist", "build"];

/// Why sources are not built or watched.
#[derive(Debug)]
pub enum SourcesError {
    /// A shell cannot be run.
    Shell(io::Error),
    /// Nothing can be watched.
    Watcher(notify::Error),
    /// One path cannot be watched.
    Watch {
        /// The path.
        path: PathBuf,
        /// Why.
        error: notify::Error,
    },
    /// The thread cannot be started.
    Thread(io::Error),
}

impl fmt::Display for SourcesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SourcesError::Shell(error) => write!(f, "cannot run a shell for the build: {error}"),
            SourcesError::Watcher(error) => write!(f, "sources cannot be watched: {error}"),
            SourcesError::Watch { path, error } => {
                write!(f, "cannot watch {} (--source): {error}", path.display())
            }
            SourcesError::Thread(error) => {
                write!(f, "cannot start the thread that watches sources: {error}")
            }
        }
    }
}

impl std::error::Error for SourcesError {}

/// What is watched, and how a guest is built.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The directory that is served.
    pub root: PathBuf,
    /// Folders and files that the guest is built from.
    pub paths: Vec<PathBuf>,
    /// The command, for a shell.
    pub build: Option<String>,
}

impl Sources {
    /// Builds the guest for the first time, which may take long: what the build says is shown while
    /// it runs, on standard error. Returns what is wrong, if it fails.
    pub fn build_first(&self) -> Option<Problem> {
        let build = self.build.as_ref()?;
        tracing::info!("building");
        let mut last = Vec::new();
        match run_and_show(build, &mut last) {
            Ok(status) if status.success() => None,
            Ok(status) => {
                tracing::error!(%status, "build failed");
                Some(Problem::of_build(build, &String::from_utf8_lossy(&last)))
            }
            Err(error) => {
                let error = SourcesError::Shell(error);
                tracing::error!(%error, "build failed");
                Some(Problem::of_shell(error.to_string()))
            }
        }
    }

    /// Starts to watch, for as long as the program runs.
    pub fn watch(self, dev: Arc<Dev>) -> Result<(), SourcesError> {
        let (sender, events) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(move |event| {
            // If the receiver is gone, so is the loop.
            let _ = sender.send(event);
        })
        .map_err(SourcesError::Watcher)?;
        let absolute = |path: &PathBuf| std::path::absolute(path).unwrap_or_else(|_| path.clone());
        let root = absolute(&self.root);
        let paths: Vec<_> = self.paths.iter().map(absolute).collect();
        // Of a folder that is both, the last word counts.
        let (files, folders): (Vec<_>, Vec<_>) =
            paths.iter().chain([&root]).partition(|path| path.is_file());
        for path in files.into_iter().chain(folders) {
            let (watched, mode) = watched(path);
            watcher
                .watch(watched, mode)
                .map_err(|error| SourcesError::Watch { path: path.clone(), error })?;
        }
        thread::Builder::new()
            .name("dev".to_owned())
            .spawn(move || self.work(&dev, &root, &paths, &events, watcher))
            .map(drop)
            .map_err(SourcesError::Thread)
    }

    fn work(
        &self,
        dev: &Dev,
        root: &Path,
        paths: &[PathBuf],
        events: &mpsc::Receiver<notify::Result<notify::Event>>,
        _watcher: RecommendedWatcher,
    ) {
        while let Ok(first) = events.recv() {
            let mut changed = changes(first, root, paths);
            while let Ok(event) = events.recv_timeout(SETTLED) {
                let more = changes(event, root, paths);
                changed = Changed {
                    site: changed.site || more.site,
                    sources: changed.sources || more.sources,
                };
            }
            if changed.sources {
                self.build(dev);
            }
            if changed.site {
                dev.outdate();
            }
        }
    }

    /// Builds the guest. The deployer watches the file that this makes.
    fn build(&self, dev: &Dev) {
        let Some(build) = &self.build else { return };
        let began = Instant::now();
        tracing::info!("building");
        dev.set_busy(Some(Work::Building));
        let built = Command::new("sh").args(["-c", build]).stdin(Stdio::null()).output();
        match built {
            Ok(built) if built.status.success() => {
                tracing::info!(elapsed_ms = clock::millis(began.elapsed()), "built");
                dev.built();
            }
            Ok(built) => {
                tracing::error!(status = %built.status, "build failed");
                let all = [built.stdout, built.stderr].concat();
                let shown = &all[all.len().saturating_sub(SHOWN_BYTES)..];
                let shown = String::from_utf8_lossy(shown);
                diagnostics::show_output(shown.trim_end());
                dev.fail(Problem::of_build(build, &shown));
            }
            Err(error) => dev.fail(Problem::of_shell(SourcesError::Shell(error).to_string())),
        }
    }
}

/// Runs a command in a shell, shows what it says on standard error, and keeps the last of that.
fn run_and_show(command: &str, last: &mut Vec<u8>) -> io::Result<ExitStatus> {
    let (mut output, input) = io::pipe()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null());
    shell.stdout(input.try_clone()?).stderr(input);
    let mut child = shell.spawn()?;
    // It holds the other end of the pipe.
    drop(shell);
    let mut chunk = vec![0; SHOWN_BYTES];
    loop {
        let count = output.read(&mut chunk)?;
        if count == 0 {
            return child.wait();
        }
        // Who does not look at it gets it on the page.
        let _ = io::stderr().write_all(&chunk[..count]);
        last.extend_from_slice(&chunk[..count]);
        last.drain(..last.len().saturating_sub(SHOWN_BYTES));
    }
}

/// The path to watch for changes of this one. For a file it is the folder: editors save by
/// renaming another file over it, after which the first one never changes.
fn watched(path: &Path) -> (&Path, RecursiveMode) {
    match path.parent() {
        Some(folder) if path.is_file() => (folder, RecursiveMode::NonRecursive),
        _ => (path, RecursiveMode::Recursive),
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Changed {
    site: bool,
    sources: bool,
}

fn changes(event: notify::Result<notify::Event>, root: &Path, sources: &[PathBuf]) -> Changed {
    match event {
        Ok(event) if matches!(event.kind, EventKind::Access(_)) => Changed::default(),
        Ok(event) => Changed {
            site: event.paths.iter().any(|path| is_in(path, root)),
            sources: event
                .paths
                .iter()
                .any(|path| sources.iter().any(|source| is_in(path, source))),
        },
        // Something was missed: everything may have changed.
        Err(_) => Changed { site: true, sources: true },
    }
}

/// Whether a path is in this folder, and neither hidden nor made by a build.
fn is_in(path: &Path, folder: &Path) -> bool {
    path.strip_prefix(folder).is_ok_and(|rest| {
        rest.components().all(|part| {
            let name = part.as_os_str().to_string_lossy();
            !name.starts_with('.') && !name.ends_with('~') && !NOT_SOURCES.contains(&&*name)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::is_in;
    use std::path::Path;

    #[test]
    fn output_of_builds_is_no_source() {
        let is_source = |path: &str| is_in(Path::new(path), Path::new("/a"));
        assert!(is_source("/a/src/lib.rs") && is_source("/a/policy.py"));
        for path in ["/a/target/debug/x", "/a/.git/index", "/a/src/.lib.rs.swp", "/a/x~", "/b/c"] {
            assert!(!is_source(path), "{path}");
        }
    }
}
