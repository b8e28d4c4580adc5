//! `innkeeper [ROOT]`: serves until a signal says to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::{open_site, read_guest_or_default, start_engine};
use crate::cli::{LogFormat, Settings};
use crate::guest::code_cache::CodeCache;
use crate::guest::swap::{self, Proven, Source, Swapper, Watching};
use crate::guest::{Engine, Generation, Serving};
use crate::http1::{Limits, connection::Service};
use crate::log::AccessLog;
use crate::server::{Running, Server};

/// How long requests in flight have to finish when the server stops. Service
/// managers kill what takes longer than 30 to 90 seconds.
const STOP_GRACE: Duration = Duration::from_secs(10);

/// Serves until a signal says to stop.
pub fn run(settings: &Settings) -> anyhow::Result<()> {
    let workers = settings.worker_count();
    let site = open_site(&settings.root, settings.site.options(), workers)?;
    let mut engine = start_engine(settings.guest_limits(), workers)?;
    if let Some(cache) = code_cache(settings)? {
        engine = engine.keeping_code(cache);
    }
    let engine = Arc::new(engine);
    let first = first_generation(&engine, settings)?;
    let serving = Arc::new(Serving::new(Arc::new(first), settings.on_failure()));
    let service = Arc::new(Service {
        site,
        guest: Arc::clone(&serving),
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
    let swapper = swapper(&engine, &serving, settings)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().context("cannot wait for signals")?;
        for address in server.addresses() {
            eprintln!("listening on http://{address}");
        }
        let running = server.start(&service)?;
        while let Asked::Reload = signals.next().await {
            match &swapper {
                Some(swapper) => swapper.reload(),
                None => tracing::warn!("the built-in guest serves: there is nothing to read again"),
            }
        }
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
        () = signals.stop() => {
            tracing::warn!("stopped at once");
            // As the shell tells that a process was interrupted.
            std::process::exit(130);
        }
    }
}

/// What somebody asks for by a signal.
enum Asked {
    Stop,
    Reload,
}

/// The signals that ask for something.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> io::Result<Signals> {
        Ok(Signals {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hangup.recv() => Asked::Reload,
        }
    }

    async fn stop(&mut self) {
        while let Asked::Reload = self.next().await {}
    }
}

/// Opens the folder of compiled guests. One that was named must be usable; the one
/// of the user is done without where it is not.
fn code_cache(settings: &Settings) -> anyhow::Result<Option<CodeCache>> {
    let Some(folder) = settings.code_cache() else { return Ok(None) };
    match CodeCache::open(&folder) {
        Ok(cache) => Ok(Some(cache)),
        Err(problem) if settings.code_cache.is_some() => Err(anyhow!("{problem}")),
        Err(problem) => {
            tracing::warn!("guests are compiled anew at each start: {problem}");
            Ok(None)
        }
    }
}

/// Loads and checks the guest that was named, or the built-in one.
fn first_generation(engine: &Arc<Engine>, settings: &Settings) -> anyhow::Result<Generation> {
    let cases = swap::read_cases(&settings.cases).map_err(|error| anyhow!(error))?;
    let (name, bytes) = read_guest_or_default(settings.guest.as_deref())?;
    let Proven { generation, report, compile, check } = swap::prove(engine, &bytes, &cases)
        .map_err(|error| anyhow!("{name} is not fit to serve: {error}"))?;
    if settings.guest.is_some() {
        swap::warn_of_imports(&name, &generation);
        tracing::info!(
            "the guest {} in {name} serves: compiled in {compile:.1?}, checked on {} request lines \
             and {} cases in {check:.1?}",
            generation.digest(),
            report.lines,
            report.cases
        );
    }
    Ok(generation)
}

/// Looks after the guest's file, if there is one.
fn swapper(
    engine: &Arc<Engine>,
    serving: &Arc<Serving>,
    settings: &Settings,
) -> anyhow::Result<Option<Swapper>> {
    let Some(guest) = settings.guest.clone() else {
        return Ok(None);
    };
    let source = Source { guest, cases: settings.cases.clone() };
    let watching = if settings.no_watch { Watching::Off } else { Watching::On };
    Swapper::start(Arc::clone(engine), Arc::clone(serving), source, watching)
        .map(Some)
        .map_err(|error| anyhow!(error))
}
