//! `innkeeper [ROOT]`: serves until a signal says to stop.

use std::io;
use std::net::Ipv4Addr;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, anyhow};
use tokio::sync::{Semaphore, watch};

use super::confine;
use super::signals::{Asked, Signals, Starting};
use super::{
    Compilation, open_files, prepare_engine, print, read_guest_or_default, start, start_spawner,
};
use crate::admin::access::Access;
use crate::admin::listener::{AdminAddress, Bound};
use crate::admin::status::{MissedHeartbeat, Subject};
use crate::admin::{self, Admin};
use crate::cli::{DevArguments, EffectiveSetting, Settings, effective};
use crate::clock;
use crate::dev::Dev;
use crate::dev::sources::Sources;
use crate::diagnostics;
use crate::disk;
use crate::files::Files;
use crate::guest::origin::Origin;
use crate::guest::release::deploy::{self, Deployer};
use crate::guest::release::source::{Source, Watching, read_cases};
use crate::guest::runtime::code_cache::CodeCache;
use crate::guest::validation::validate::{Validated, validate};
use crate::guest::{ActiveGuest, Engine, LoadedGuest, PreparedEngine};
use crate::helper::{Confinement, Spawner};
use crate::http1::Http1;
use crate::line_writer::{Output, file::LineFile};
use crate::log::{AccessLog, Format};
use crate::metrics::Metrics;
use crate::server::connection::Wires;
use crate::server::{HEARTBEAT, Running, Server};
use crate::service::{PageScript, Service};
use crate::service_manager;
use crate::throttle::Throttle;
use crate::transport::SendScheduler;

/// How long workers have to reset their connections when a second signal comes.
const RESET_GRACE: Duration = Duration::from_secs(1);

/// How often it is looked whether all workers are at work, where nobody says. Their hearts
/// beat once a second.
const LOOK_AFTER_WORKERS: Duration = Duration::from_secs(5);

/// What is opened while the process still may.
struct Opened {
    /// Threads that serve. How many cores there are is read from files that the lockdown
    /// puts out of reach.
    workers: NonZeroUsize,
    files: Files,
    server: Server,
    admin: Option<(AdminAddress, Bound, Access)>,
    log: Option<(Box<dyn Output>, Format)>,
    engine: PreparedEngine,
    code_cache: Option<CodeCache>,
}

/// Serves until a signal says to stop.
pub fn run(settings: &Settings, settings_with_origin: &[EffectiveSetting]) -> anyhow::Result<()> {
    if settings.print_config {
        return print(format_args!("{}", effective::write(settings_with_origin)));
    }
    serve(settings, None)
}

/// Serves while a guest is written.
pub fn run_dev(
    arguments: &DevArguments,
    settings_with_origin: &[EffectiveSetting],
) -> anyhow::Result<()> {
    if arguments.serve.print_config {
        return print(format_args!("{}", effective::write(settings_with_origin)));
    }
    let mut paths = arguments.source.clone();
    if paths.is_empty() && Path::new("src").is_dir() {
        paths.push(PathBuf::from("src"));
    }
    if paths.is_empty() && arguments.build.is_some() {
        tracing::warn!("no source is watched, name one with --source");
    }
    let settings = &arguments.serve;
    let build = arguments.build.clone();
    let sources = Sources { root: settings.root.clone(), paths, build };
    sources.build_first().map_err(|problem| anyhow!(problem))?;
    serve(settings, Some(sources))
}

fn serve(settings: &Settings, sources: Option<Sources>) -> anyhow::Result<()> {
    let started = (Instant::now(), SystemTime::now());
    let dev = sources.as_ref().map(|_| Dev::new());
    let opened = open(settings, dev.is_some())?;
    let confinement =
        if settings.sandbox.disabled { Confinement::None } else { Confinement::Sandbox };
    // Without a guest of somebody else's there is nothing to compile but our own.
    let may_compile = settings.guest.file.is_some() || opened.admin.is_some();
    let spawner = may_compile.then(|| start_spawner(confinement)).transpose()?;
    // A build runs programs.
    let keeps_all = settings.sandbox.disabled || dev.is_some();
    let sandbox = if keeps_all {
        None
    } else {
        Some(confine::enter(settings, opened.code_cache.as_ref().map(CodeCache::path))?)
    };
    diagnostics::start_writer().context("cannot start the thread that writes to standard error")?;
    disk::start().context("cannot start the threads that wait for the disk")?;
    let Opened { workers, files, server, admin, log, engine, code_cache } = opened;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let starting = Starting::listen(runtime)?;
    let helpers = spawner.map(Spawner::attend).transpose();
    let helpers = helpers.context("cannot start the thread that listens to helpers")?;
    let mut engine = start(engine)?;
    if let Some(helpers) = helpers.clone() {
        engine = engine.compiling_in(helpers, settings.guest.limits.compile_limits());
    }
    if let Some(cache) = code_cache {
        engine = engine.keeping_code(cache);
    }
    let engine = Arc::new(engine);
    let source = Source::new(settings.guest.file.clone(), settings.guest.cases.clone());
    let first = first_generation(&engine, settings)?;
    let serving = Arc::new(ActiveGuest::new(Arc::new(first), settings.failure_policy()));
    let metrics = admin.as_ref().map(|_| Arc::new(Metrics::new(workers.get())));
    let service = Arc::new(Service {
        clients: settings.clients(),
        log: log
            .map(|(out, format)| AccessLog::to(out, format))
            .transpose()
            .context("cannot start the access log")?,
        metrics: metrics.clone(),
        page_script: dev
            .as_ref()
            .and(admin.as_ref())
            .map(|(address, bound, _)| PageScript::new(&bound.address(address).to_string())),
        ..Service::new(files, Arc::clone(&serving))
    });
    let wires = Arc::new(Wires {
        service: Arc::clone(&service),
        scheduler: SendScheduler::new(workers.get()),
        http1: Http1 {
            limits: settings.limits.connection_limits(),
            print_heads: settings.log.verbose,
        },
    });
    service
        .files
        .monitor_root(settings.root.clone())
        .context("cannot start to look after the root")?;
    let is_off = settings.guest.no_watch && dev.is_none();
    let watching = if is_off { Watching::Off } else { Watching::On };
    let deployer = Deployer::start(Arc::clone(&engine), Arc::clone(&serving), source, watching);
    let deployer = Arc::new(deployer.context("cannot start the threads that swap guests")?);
    let listeners: Vec<_> =
        server.addresses().iter().map(|address| format!("http://{address}")).collect();
    // What keeps it from starting is an error here. Among what is asynchronous it could not be
    // told: the runtimes of workers must not be dropped there.
    let running = server.start(&wires)?;
    let (runtime, mut signals) = starting.over()?;
    let stopped = runtime.block_on(async {
        if io::IsTerminal::is_terminal(&io::stderr()) {
            let (version, root) = (env!("CARGO_PKG_VERSION"), settings.root.display());
            diagnostics::info("innkeeper", &[("version", &version)]);
            diagnostics::info("serving", &[("root", &root)]);
        }
        if !keeps_all || settings.sandbox.disabled {
            confine::tell(sandbox.as_ref());
        }
        for listener in &listeners {
            diagnostics::info("listening on", &[("url", listener)]);
        }
        if let (Some(sources), Some(dev)) = (sources, &dev) {
            sources.watch(Arc::clone(dev)).map_err(|problem| anyhow!(problem))?;
            tokio::spawn(Arc::clone(dev).follow(serving));
        }
        let (readiness, is_ready) = watch::channel(true);
        let (missed, missed_heartbeat) = watch::channel(None);
        if let (Some((address, bound, access)), Some(metrics)) = (admin, metrics) {
            let address = bound.address(&address);
            let listener = bound.listen().context("cannot start the administration")?;
            let subject = Subject {
                service: Arc::clone(&service),
                connection_limits: wires.http1.limits,
                metrics,
                is_ready,
                missed_heartbeat,
                started,
                listeners: listeners.clone(),
                root: settings.root.display().to_string(),
                workers: workers.get(),
                limits: engine.limits(),
                guest_file: settings.guest.file.as_ref().map(|guest| guest.display().to_string()),
                sandbox,
                helpers,
            };
            let uploads = Arc::new(Semaphore::new(1));
            let deployer = Arc::clone(&deployer);
            let admin = Admin { subject, deployer, access, uploads, dev };
            tokio::spawn(admin::serve(Arc::new(admin), listener));
            diagnostics::info("administration at", &[("url", &address)]);
        }
        let told = format!("serving {} at {}", settings.root.display(), listeners.join(", "));
        service_manager::ready(&told);
        let asked_to_stop = async {
            loop {
                match signals.next().await {
                    Asked::Stop => break,
                    Asked::Reopen => match &service.log {
                        Some(log) => log.reopen(),
                        None => tracing::warn!("no access log to reopen"),
                    },
                    Asked::Reload => {
                        service_manager::reloading();
                        let (deployer, told) = (Arc::clone(&deployer), told.clone());
                        tokio::spawn(async move {
                            deployer.reload().await;
                            service_manager::ready(&told);
                        });
                    }
                }
            }
        };
        tokio::select! {
            () = asked_to_stop => {}
            () = watch_heartbeats(&running, &missed) => {}
        }
        service_manager::stopping();
        readiness.send_replace(false);
        anyhow::Ok(stop(running, &mut signals, settings.limits.stop_timeout).await)
    })?;
    // With it go the sockets of the administration, whatever keeps the process from its end.
    drop(runtime);
    match stopped {
        Stopped::InPeace => Ok(()),
        Stopped::AtOnce => {
            // Requests that were answered are logged.
            if let Some(log) = &service.log {
                log.finish();
            }
            diagnostics::finish();
            // As the shell tells that a process was interrupted.
            std::process::exit(130);
        }
    }
}

/// Opens all that serving needs.
fn open(settings: &Settings, is_dev: bool) -> anyhow::Result<Opened> {
    service_manager::find().context("cannot tell the service manager anything")?;
    let workers = settings.worker_count();
    let mut options = settings.file_options();
    // Pages must be as they are, to be appended to.
    options.compress &= !is_dev;
    let files = open_files(&settings.root, options, workers)?;
    let compilation = if is_dev { Compilation::Incremental } else { Compilation::Whole };
    let engine = prepare_engine(settings.guest_limits(), workers, compilation)?;
    let log = open_log(settings)?;
    let code_cache = code_cache(settings)?;
    let inherited = service_manager::inherited_listeners()?;
    let max_connections = settings.limits.max_connections;
    let server = if inherited.is_empty() {
        Server::bind(&settings.listen, workers, max_connections)?
    } else {
        Server::inherit(inherited, workers, max_connections)?
    };
    let any_port = AdminAddress::Tcp((Ipv4Addr::LOCALHOST, 0).into());
    let wanted = match &settings.admin.listen {
        Some(address @ AdminAddress::Unix(_)) if is_dev => {
            tracing::warn!(%address, "--admin is not used, pages need a TCP address to reload");
            None
        }
        wanted => wanted.as_ref(),
    };
    let admin = match wanted.or(is_dev.then_some(&any_port)) {
        None => None,
        Some(address) => {
            let access = match (&settings.admin.token_file, address) {
                (Some(file), _) => Access::read_token(file).map_err(|problem| anyhow!(problem))?,
                (None, AdminAddress::Unix(_)) => Access::Open,
                (None, AdminAddress::Tcp(_)) => Access::Nobody,
            };
            let bound = Bound::bind(address).map_err(|problem| anyhow!(problem))?;
            Some((address.clone(), bound, access))
        }
    };
    Ok(Opened { workers, files, server, admin, log, engine, code_cache })
}

/// Opens the access log, if one is wanted.
fn open_log(settings: &Settings) -> anyhow::Result<Option<(Box<dyn Output>, Format)>> {
    let Some(format) = settings.log.access.format() else { return Ok(None) };
    let out: Box<dyn Output> = match &settings.log.access_file {
        None => Box::new(io::stdout()),
        Some(path) => {
            let file = LineFile::open(path);
            Box::new(file.with_context(|| format!("cannot write the log {}", path.display()))?)
        }
    };
    Ok(Some((out, format)))
}

/// Watches the heartbeats of the workers. The service manager is notified while none is
/// missed, as often as it expects, and `/healthz` tells which one is.
async fn watch_heartbeats(running: &Running, missed: &watch::Sender<Option<MissedHeartbeat>>) {
    let watchdog = service_manager::watchdog();
    let pause = watchdog.unwrap_or(LOOK_AFTER_WORKERS);
    let mut before = running.heartbeats();
    let mut looked = Instant::now();
    let throttle = Throttle::new();
    loop {
        tokio::time::sleep(pause).await;
        // In a shorter time there may be no heartbeat: a service manager that expects to be
        // notified more often is told what was seen last.
        if looked.elapsed() >= pause.max(2 * HEARTBEAT) {
            let now = running.heartbeats();
            let worker = before.iter().zip(&now).position(|(before, now)| before >= now);
            let heartbeat =
                worker.map(|worker| MissedHeartbeat { worker, elapsed: looked.elapsed() });
            if let Some(MissedHeartbeat { worker, elapsed }) = heartbeat {
                let elapsed_ms = clock::millis(elapsed);
                throttle.log(|suppressed| {
                    tracing::error!(worker, elapsed_ms, suppressed, "worker missed its heartbeat");
                });
            } else if missed.borrow().is_some() {
                tracing::info!("all workers have a heartbeat again");
            }
            missed.send_replace(heartbeat);
            (before, looked) = (now, Instant::now());
        }
        if watchdog.is_some() && missed.borrow().is_none() {
            service_manager::alive();
        }
    }
}

/// How the server stopped.
enum Stopped {
    InPeace,
    AtOnce,
}

/// Stops in peace, or at once when a second signal comes.
async fn stop(mut running: Running, signals: &mut Signals, grace: Duration) -> Stopped {
    tracing::info!("stopping, a second signal stops at once");
    let places = running.places();
    running.close().await;
    tokio::select! {
        cut = running.stop(grace) => {
            match cut {
                0 => tracing::info!("stopped"),
                cut => tracing::warn!(connections = cut, "stopped, slow connections were cut"),
            }
            Stopped::InPeace
        }
        () = signals.stop() => {
            tracing::warn!("stopped at once");
            // What serves is given up now, and resets its connections: this process is not to
            // leave answers to the kernel that nobody takes.
            let _ = tokio::time::timeout(RESET_GRACE, places.are_free()).await;
            Stopped::AtOnce
        }
    }
}

/// Opens the folder of compiled guests. One that was named must be usable; the one
/// of the user is done without where it is not.
fn code_cache(settings: &Settings) -> anyhow::Result<Option<CodeCache>> {
    let Some(folder) = settings.cache.code_directory() else { return Ok(None) };
    match CodeCache::open(&folder) {
        Ok(cache) => Ok(Some(cache)),
        Err(problem) if settings.cache.code.is_some() => Err(anyhow!("{problem}")),
        Err(problem) => {
            tracing::warn!(error = %problem, "code cache is off, guests are compiled at each start");
            Ok(None)
        }
    }
}

/// Loads and checks the guest that was named, or the built-in one.
fn first_generation(engine: &Arc<Engine>, settings: &Settings) -> anyhow::Result<LoadedGuest> {
    let cases = read_cases(&settings.guest.cases)?;
    let (name, bytes) = read_guest_or_default(settings.guest.file.as_deref())?;
    let origin = if settings.guest.file.is_some() { Origin::File } else { Origin::BuiltIn };
    let Validated { generation, report, compile, check } = validate(engine, origin, &bytes, &cases)
        .map_err(|error| anyhow!("{name} is not fit to serve: {error}"))?;
    if settings.guest.file.is_some() {
        deploy::warn_of_imports(&name, &generation);
        let digest = generation.digest();
        let (request_lines, cases) = (report.lines, report.cases);
        let (compile_ms, validate_ms) = (clock::millis(compile), clock::millis(check));
        if report.is_known {
            tracing::info!(
                guest = %digest, path = name, compile_ms, cases,
                "guest active, validated at an earlier start"
            );
        } else {
            tracing::info!(
                guest = %digest, path = name, compile_ms, validate_ms, request_lines, cases,
                "guest active"
            );
        }
    }
    Ok(generation)
}
