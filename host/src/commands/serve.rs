//! `innkeeper [ROOT]`: puts a server together, and runs it until a signal says to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::Context;
use tokio::sync::{Semaphore, watch};

use super::browser::Browser;
use super::engine::{self, start_spawner};
use super::greeting::{self, Greeting};
use super::guest::may_compile;
use super::lifecycle::{Lifecycle, Stopped};
use super::open::{Opened, open};
use super::signals::Starting;
use super::sites::assemble::{Assembled, Assembly};
use super::sites::read_again;
use super::sites::reload::Fleet;
use super::{acme, own_files, sandbox, tls, user};
use crate::admin::status::Subject;
use crate::admin::{self, Admin, PageEvents, ReloadHistory, SiteSubjects};
use crate::cli::{Configuration, EffectiveSetting, Settings};
use crate::dev::sources::Sources;
use crate::dev::{self, Dev};
use crate::diagnostics;
use crate::disk;
use crate::guest::Failure;
use crate::guest::runtime::code_cache::CodeCache;
use crate::helper::{Confinement, Spawner};
use crate::http1::Http1;
use crate::metrics::{Metrics, Process};
use crate::release::Crew;
use crate::server::connection::Wires;
use crate::service::{PageScript, Service, Sites};
use crate::tls::certificates::Keeper;
use crate::transport::SendScheduler;
use crate::transport::socket_file::SocketFile;

/// Serves until a signal says to stop.
pub fn run(configuration: &Configuration) -> anyhow::Result<ExitCode> {
    serve(configuration.arguments.settings(), &configuration.effective, None)
}

/// Serves, with the loop of `innkeeper dev` if there are sources.
pub(super) fn serve(
    settings: &Settings,
    effective: &[EffectiveSetting],
    development: Option<(Sources, Arc<Dev>)>,
) -> anyhow::Result<ExitCode> {
    let started = (Instant::now(), SystemTime::now());
    let (sources, dev) = development.unzip();
    let opened = open(settings, dev.is_some())?;
    let addresses = opened.server.addresses().to_vec();
    let paths = opened.server.paths().to_vec();
    let greeting = Greeting::prepare(settings, &addresses);
    let browser = settings.open.then(Browser::prepare).transpose()?;
    let confinement =
        if settings.sandbox.disabled { Confinement::None } else { Confinement::Sandbox };
    let needs_helpers = may_compile(settings) || opened.admin.is_some();
    let spawner = needs_helpers.then(|| start_spawner(confinement)).transpose()?;
    let fetcher = opened.acme.as_ref().map(|acme| acme.start(settings, confinement)).transpose()?;
    // A build runs programs.
    let has_sandbox = !settings.sandbox.disabled && dev.is_none();
    let code_cache = opened.code_cache.as_ref().map(CodeCache::path);
    // Of `/proc`, which the sandbox has not.
    let process = opened.admin.is_some().then(Process::open);
    let sandbox = has_sandbox.then(|| sandbox::enter(settings, &opened, code_cache)).transpose()?;
    diagnostics::start_writer().context("cannot start the thread that writes to standard error")?;
    disk::start().context("cannot start the threads that wait for the disk")?;
    let Opened { workers, caches, sites, seen, logs, server, certificates, admin, .. } = opened;
    let Opened { client_buckets, engine, code_cache, acme, admin_file, own_files: beneath, .. } =
        opened;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let starting = Starting::listen(runtime)?;
    let helpers = spawner.map(Spawner::attend).transpose();
    let helpers = helpers.context("cannot start the thread that listens to helpers")?;
    let engine = engine::start(engine)?;
    let engine =
        engine::with_helpers(engine, settings.guest.limits.compile_limits(), helpers.clone())
            .isolating(settings.guest.isolation);
    let engine = Arc::new(match code_cache {
        Some(cache) => engine.keeping_code(cache),
        None => engine,
    });
    let closes_stale = caches.keep_closing_stale();
    let ordered = acme.zip(fetcher).map(|(acme, socket)| acme.attend(settings, socket));
    let ordered = ordered.transpose()?;
    let link = ordered.as_ref().map(|ordered| Arc::clone(&ordered.link));
    let metrics = process.map(|process| Arc::new(Metrics::new(workers.get(), process)));
    let crew = Crew::start(Arc::clone(&engine));
    let crew = crew.context("cannot start the threads that replace guests")?;
    let mut assembly = Assembly {
        engine: Arc::clone(&engine),
        crew,
        caches,
        logs,
        client_buckets,
        certificates: certificates.clone(),
        keeps_guests: admin.is_some(),
        dev: dev.clone(),
    };
    let assembled = assembly.all(settings, sites)?;
    own_files::warn(&beneath);
    let pages = dev.as_ref().zip(admin.as_ref());
    let service = match assembled.as_slice() {
        [only] if settings.sites.is_empty() => Service::of(Arc::clone(&only.site), workers),
        _ => {
            let sites: Vec<_> = assembled.iter().map(Assembled::with_hosts).collect();
            let outside = assembly.outside(settings)?;
            Service::with(Sites::several(&sites, outside, workers, metrics.as_deref())?)
        }
    };
    let service = Arc::new(Service {
        clients: settings.clients(),
        challenges: acme::http_challenges(link.as_ref()),
        metrics: metrics.clone(),
        page_script: pages.map(|(dev, (address, bound, _))| {
            let dev = Arc::clone(dev);
            let listener = move |line: &[u8], failure: Option<&Failure>, is_page| {
                dev.request_ended(line, failure, is_page);
            };
            PageScript::new(&bound.address(address).to_string(), Box::new(listener))
        }),
        ..service
    });
    let keeper = certificates.clone().map(Keeper::start).transpose();
    let keeper = keeper.context("cannot start the thread that replaces certificates")?;
    let keeper = keeper.map(Arc::new);
    let tls = certificates.clone();
    let secure = |store| {
        let challenges = acme::tls_challenges(link.as_ref());
        tls::server(settings, store, workers.get(), challenges)
    };
    let tls = tls.map(secure).transpose()?;
    let wires = Arc::new(Wires {
        service: Arc::clone(&service),
        scheduler: SendScheduler::new(workers.get()),
        limits: settings.limits.transport(),
        http1: Http1 { limits: settings.limits.http1(), print_heads: settings.log.verbose },
        http2: settings.http2(),
        tls,
    });
    closes_stale.context("cannot start the thread that closes stale files")?;
    let of_paths = paths.iter().map(|path| format!("unix:{}", path.display()));
    let listeners: Vec<_> = addresses.iter().map(ToString::to_string).chain(of_paths).collect();
    let subjects = assembled.iter().map(|one| Arc::clone(&one.subject)).collect();
    let subjects = Arc::new(SiteSubjects::new(subjects));
    let broken = assembled.iter().filter(|one| one.error().is_some());
    let broken: Vec<_> =
        broken.filter_map(|one| one.site.name.as_deref().map(str::to_owned)).collect();
    let first = assembled.iter().find_map(|one| one.site.active.as_ref().ok().cloned());
    let reloads = Arc::new(ReloadHistory::default());
    let reload = match assembled.as_slice() {
        [Assembled { deployer: Some(deployer), .. }] if settings.sites.is_empty() => {
            read_again::of_one(Arc::clone(deployer), keeper, link.clone())
        }
        _ => {
            let fleet = Fleet {
                assembly,
                settings: settings.clone(),
                effective: effective.to_vec(),
                service: Arc::clone(&service),
                metrics: metrics.clone(),
                subjects: Arc::clone(&subjects),
                history: Arc::clone(&reloads),
                keeper,
                ordered,
            };
            fleet.start(assembled, seen).context("cannot start the thread that reloads sites")?
        }
    };
    // What keeps the server from starting is an error here: later, in the runtime, the runtimes
    // of workers could not be dropped.
    let running = server.start(&wires)?;
    let (runtime, signals) = starting.over()?;
    let stopped = runtime.block_on(async {
        if settings.sandbox.disabled || has_sandbox {
            sandbox::report(sandbox.as_ref());
        }
        greeting.print(settings, &broken, &addresses, &paths);
        user::warn_of_root(settings);
        if let Some((browser, url)) = browser.zip(greeting::for_browser(&addresses)) {
            browser.open(url);
        }
        if let (true, Some(store)) = (settings.tls.self_signed, &certificates) {
            tls::announce_self_signed(store);
        }
        if let (Some(sources), Some(dev)) = (sources, &dev) {
            sources.watch(Arc::clone(dev))?;
            tokio::spawn(Arc::clone(dev).follow(first.context("the site is served")?));
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
                sites: Arc::clone(&subjects),
                reloads,
                workers: workers.get(),
                limits: engine.limits(),
                engine: Arc::clone(&engine),
                sandbox,
                certificates,
                acme: link.clone(),
                helpers,
            };
            let uploads = Arc::new(Semaphore::new(1));
            let page_events = dev.map(|dev| PageEvents {
                script: dev::state::SCRIPT,
                subscribe: Box::new(move || dev.events()),
            });
            let reload = Arc::clone(&reload);
            let admin = Admin { subject, access, uploads, reload, page_events };
            tokio::spawn(admin::serve(Arc::new(admin), listener));
            diagnostics::info("administration at", &[("url", &address)]);
        }
        let lifecycle = Lifecycle {
            running,
            reload,
            service: Arc::clone(&service),
            swap: engine.swap(),
            status: format!("serving {} at {}", described(settings), listeners.join(", ")),
            readiness,
            missed,
            stop_timeout: settings.limits.stop_timeout,
        };
        anyhow::Ok(lifecycle.run(signals).await)
    })?;
    // This closes the sockets of the administration, whatever keeps the process from its end.
    drop(runtime);
    admin_file.iter().for_each(SocketFile::remove);
    match stopped {
        Stopped::Gracefully => Ok(code(&service)),
        Stopped::AtOnce => {
            // Requests with a response are logged.
            service.logs().iter().for_each(|log| log.finish());
            diagnostics::finish();
            // As a shell reports a process that was interrupted.
            std::process::exit(130);
        }
    }
}

/// The exit code of a server whose sites were not all served when it stopped.
const BROKEN_SITES: u8 = 3;

/// Which exit code a server has that stopped.
fn code(service: &Service) -> ExitCode {
    let sites = service.sites.all();
    let broken = sites.iter().filter(|site| site.active.is_err());
    let broken: Vec<_> = broken.filter_map(|site| site.name.as_deref()).collect();
    if broken.is_empty() {
        return ExitCode::SUCCESS;
    }
    tracing::warn!(broken = broken.join(", "), "sites were not served when the server stopped");
    ExitCode::from(BROKEN_SITES)
}

/// What is served, for the service manager.
fn described(settings: &Settings) -> String {
    match settings.sites.len() {
        0 => settings.site.root.display().to_string(),
        sites => format!("{sites} sites"),
    }
}
