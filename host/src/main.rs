//! The program: arguments, diagnostics, run, exit code.

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use innkeeper::cli::{LogFormat, Settings};
use innkeeper::guest::{DEFAULT_GUEST, Engine, Generation, GuestLimits};
use innkeeper::http1::{Limits, connection::Service};
use innkeeper::log::AccessLog;
use innkeeper::server::{Running, Server};
use innkeeper::site::{Links, Options, Resolver, Site};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::Level;

/// How long requests in flight have to finish when the server stops. Service
/// managers kill what takes longer than 30 to 90 seconds.
const STOP_GRACE: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    let settings = Settings::from_command_line();
    let level = if settings.verbose { Level::DEBUG } else { Level::INFO };
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(io::stderr)
        .with_ansi(io::IsTerminal::is_terminal(&io::stderr()))
        .with_target(false)
        .init();
    match serve(&settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("innkeeper: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Serves until a signal says to stop.
fn serve(settings: &Settings) -> anyhow::Result<()> {
    let workers = settings.worker_count();
    let service = Arc::new(Service {
        site: open_site(settings)?,
        generation: Arc::new(load_guest(settings, workers.get())?),
        limits: Limits::default(),
        log: match settings.access_log {
            LogFormat::Combined => {
                Some(AccessLog::to(io::stdout()).context("cannot start the access log")?)
            }
            LogFormat::Off => None,
        },
        log_heads: settings.verbose,
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let server = Server::bind(&settings.listen, workers)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot wait for signals")?;
        for address in server.addresses() {
            eprintln!("listening on http://{address}");
        }
        let running = server.start(&service)?;
        signals.next().await;
        stop(running, &mut signals).await;
        Ok(())
    })
}

/// Stops in peace, or at once when a second signal comes.
async fn stop(running: Running, signals: &mut Signals) {
    tracing::info!("stopping: requests in flight are finished; a second signal ends them");
    tokio::select! {
        cut = running.stop(STOP_GRACE) => match cut {
            0 => tracing::info!("stopped"),
            cut => tracing::warn!("stopped; {cut} connections took too long and were cut"),
        },
        () = signals.next() => {
            tracing::warn!("stopped at once");
            // As the shell tells that a process was interrupted.
            std::process::exit(130);
        }
    }
}

/// The signals that say to stop.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

fn open_site(settings: &Settings) -> anyhow::Result<Site> {
    let root = &settings.root;
    let options = Options {
        resolver: Resolver::Kernel,
        links: if settings.no_symlinks { Links::Refused } else { Links::Followed },
        compress: !settings.no_compress,
        list: settings.listing,
        freshness: settings.cache_control.clone(),
    };
    let site = Site::open(root, options).map_err(|error| {
        let root = root.display();
        match error.kind() {
            io::ErrorKind::NotFound => anyhow!(
                "cannot serve {root}: there is no such directory; name the one to serve, as in: \
                 innkeeper path/to/site"
            ),
            io::ErrorKind::NotADirectory => {
                anyhow!("cannot serve {root}: it is not a directory; name the one it is in")
            }
            _ => anyhow!("cannot serve {root}: {error}"),
        }
    })?;
    if site.resolver() == Resolver::Portable {
        tracing::warn!("this kernel has no openat2 (Linux 5.6): paths are resolved more slowly");
    }
    Ok(site)
}

/// Loads the guest that was named, or the built-in one.
fn load_guest(settings: &Settings, workers: usize) -> anyhow::Result<Generation> {
    let concurrency = u32::try_from(workers).context("too many workers")?;
    let engine = Engine::new(GuestLimits::default(), concurrency)
        .map_err(|error| anyhow!("cannot start the WebAssembly engine: {error:#}"))?;
    let engine = Arc::new(engine);
    let Some(path) = &settings.guest else {
        return Generation::load(&engine, DEFAULT_GUEST)
            .map_err(|error| anyhow!("the built-in guest cannot be loaded: {error}"));
    };
    let shown = path.display();
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the guest {shown}"))?;
    let generation = Generation::load(&engine, &bytes)
        .map_err(|error| anyhow!("{shown} is not a guest: {error}"))?;
    for import in generation.imports() {
        tracing::warn!("{shown} imports {import}; calling it traps");
    }
    Ok(generation)
}
