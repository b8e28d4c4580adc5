//! `innkeeper [ROOT]`: puts a server together, and runs it until a signal says to stop.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use anyhow::{Context, anyhow, bail};
use tokio::sync::{Semaphore, watch};

use super::browser::Browser;
use super::engine::{self, start_spawner};
use super::greeting::{self, Greeting};
use super::guest::{GuestSource, compiling, may_compile, name, source};
use super::lifecycle::{Lifecycle, Stopped};
use super::open::{Opened, open};
use super::signals::Starting;
use super::{acme, progress, reload, sandbox, tls};
use crate::admin::status::Subject;
use crate::admin::{
    self, Admin, PageEvents, RuleSourceBody, RulesBody, RulesOf, SiteSubject, SiteSubjects,
};
use crate::cli::Settings;
use crate::dev::problem::Problem;
use crate::dev::sources::Sources;
use crate::dev::{self, Dev};
use crate::diagnostics;
use crate::disk;
use crate::guest::origin::Origin;
use crate::guest::runtime::code_cache::CodeCache;
use crate::guest::validation::validate::validate;
use crate::guest::{Ambient, DEFAULT_GUEST, Engine, Failure, LoadedGuest};
use crate::helper::{Confinement, Spawner};
use crate::http1::Http1;
use crate::log::AccessLog;
use crate::metrics::{Metrics, Process};
use crate::release::deploy::{self, Deployer};
use crate::release::source::{Source, Watching};
use crate::release::{Active, Generation};
use crate::rules::{Count, RulesSource, Summary};
use crate::server::connection::Wires;
use crate::service::{PageScript, Service, Site};
use crate::tls::certificates::Keeper;
use crate::transport::SendScheduler;

/// Serves until a signal says to stop.
pub fn run(settings: &Settings) -> anyhow::Result<ExitCode> {
    serve(settings, None)
}

/// Serves, with the loop of `innkeeper dev` if there are sources.
pub(super) fn serve(
    settings: &Settings,
    development: Option<(Sources, Arc<Dev>)>,
) -> anyhow::Result<ExitCode> {
    if !settings.sites.is_empty() {
        bail!("[[site]] is read and checked, but this version does not serve several sites yet");
    }
    let started = (Instant::now(), SystemTime::now());
    let (sources, dev) = development.unzip();
    let opened = open(settings, dev.is_some())?;
    let GuestSource { source, rules, by_name } = source(&settings.site, &opened.files)?;
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
    let sandbox =
        has_sandbox.then(|| sandbox::enter(settings, &by_name, &opened, code_cache)).transpose()?;
    diagnostics::start_writer().context("cannot start the thread that writes to standard error")?;
    disk::start().context("cannot start the threads that wait for the disk")?;
    let Opened { workers, root, files, server, certificates, admin, log, .. } = opened;
    let Opened { client_buckets, engine, code_cache, acme, .. } = opened;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let starting = Starting::listen(runtime)?;
    let helpers = spawner.map(Spawner::attend).transpose();
    let helpers = helpers.context("cannot start the thread that listens to helpers")?;
    let engine = engine::start(engine)?;
    let engine = engine::with_helpers(engine, &settings.guest.limits, helpers.clone());
    let engine = Arc::new(match code_cache {
        Some(cache) => engine.keeping_code(cache),
        None => engine,
    });
    let source_name = source.name();
    let seen = source.stamps();
    let first =
        match (first_guest(&engine, &*source, source_name.as_deref(), admin.is_some()), &dev) {
            (Err(error), Some(dev)) => {
                let error_line = format!("{error:#}");
                tracing::error!(error = error_line, "guest rejected; the built-in one serves");
                dev.fail_first(Problem::of_first(&error));
                LoadedGuest::load(&engine, DEFAULT_GUEST).map_err(|error| anyhow!(error))?
            }
            (first, _) => first?,
        };
    let first = Generation { guest: Arc::new(first), files };
    let closes_stale = first.files.caches().keep_closing_stale();
    let active = Arc::new(Active::new(first, settings.failure_policy(&settings.site)));
    let link = acme.zip(fetcher).map(|(acme, socket)| acme.attend(settings, socket)).transpose()?;
    let metrics = process.map(|process| Arc::new(Metrics::new(workers.get(), process)));
    let log = log.map(|(out, format)| AccessLog::to(out, format)).transpose();
    let pages = dev.as_ref().zip(admin.as_ref());
    let log = log.context("cannot start the access log")?.map(Arc::new);
    let site = Site {
        ambient: Ambient::live(client_buckets),
        log,
        https: tls::https(&settings.site, certificates.as_ref()),
        request_id: settings.site.log.request_id.clone(),
        ..Site::new(Arc::clone(&active))
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
        ..Service::of(site, workers)
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
    let is_watched = !settings.site.guest.no_watch || dev.is_some();
    let watching = if is_watched { Watching::On } else { Watching::Off };
    let deployer =
        Deployer::start(Arc::clone(&engine), Arc::clone(&active), root, source, seen, watching);
    let deployer = Arc::new(deployer.context("cannot start the threads that replace guests")?);
    let of_paths = paths.iter().map(|path| format!("unix:{}", path.display()));
    let listeners: Vec<_> = addresses.iter().map(ToString::to_string).chain(of_paths).collect();
    // What keeps the server from starting is an error here: later, in the runtime, the runtimes
    // of workers could not be dropped.
    let running = server.start(&wires)?;
    let (runtime, signals) = starting.over()?;
    let stopped = runtime.block_on(async {
        if settings.sandbox.disabled || has_sandbox {
            sandbox::report(sandbox.as_ref());
        }
        greeting.print(settings, &addresses, &paths);
        if let Some((browser, url)) = browser.zip(greeting::for_browser(&addresses)) {
            browser.open(url);
        }
        if let (true, Some(store)) = (settings.tls.self_signed, &certificates) {
            tls::announce_self_signed(store);
        }
        if let (Some(sources), Some(dev)) = (sources, &dev) {
            sources.watch(Arc::clone(dev))?;
            tokio::spawn(Arc::clone(dev).follow(active));
        }
        let (readiness, is_ready) = watch::channel(true);
        let (missed, missed_heartbeat) = watch::channel(None);
        if let (Some((address, bound, access)), Some(metrics)) = (admin, metrics) {
            let address = bound.address(&address);
            let listener = bound.listen().context("cannot start the administration")?;
            let site = service.sites.first().context("a server has a site")?;
            let sites = Arc::new(SiteSubjects::new(vec![Arc::new(SiteSubject {
                site,
                hosts: Vec::new(),
                is_default: true,
                root: settings.site.root.display().to_string(),
                guest_file: source_name,
                data_file: settings.site.guest.data.as_ref().map(|data| data.display().to_string()),
                rules: rules.map(summaries),
                deployer: Some(Arc::clone(&deployer)),
            })]));
            let subject = Subject {
                service: Arc::clone(&service),
                connection_limits: wires.http1.limits,
                metrics,
                is_ready,
                missed_heartbeat,
                started,
                listeners: listeners.clone(),
                sites,
                workers: workers.get(),
                limits: engine.limits(),
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
            let reload = reload::of_one(Arc::clone(&deployer), keeper.clone());
            let admin = Admin { subject, access, uploads, reload, page_events };
            tokio::spawn(admin::serve(Arc::new(admin), listener));
            diagnostics::info("administration at", &[("url", &address)]);
        }
        let lifecycle = Lifecycle {
            running,
            deployer,
            certificates: keeper,
            acme: link,
            service: Arc::clone(&service),
            swap: engine.swap(),
            status: format!("serving {} at {}", settings.site.root.display(), listeners.join(", ")),
            readiness,
            missed,
            stop_timeout: settings.limits.stop_timeout,
        };
        anyhow::Ok(lifecycle.run(signals).await)
    })?;
    // This closes the sockets of the administration, whatever keeps the process from its end.
    drop(runtime);
    match stopped {
        Stopped::Gracefully => Ok(ExitCode::SUCCESS),
        Stopped::AtOnce => {
            // Requests with a response are logged.
            service.logs().iter().for_each(|log| log.finish());
            diagnostics::finish();
            // As a shell reports a process that was interrupted.
            std::process::exit(130);
        }
    }
}

/// What the status tells of a table of rules.
fn summaries(rules: Arc<RulesSource>) -> RulesOf {
    let body = |Count { source, redirects, headers, others }| RuleSourceBody {
        source,
        redirects,
        headers,
        others,
    };
    Arc::new(move |data| {
        let Summary { counts, warnings } = rules.summary(data)?;
        Some(RulesBody { sources: counts.into_iter().map(body).collect(), warnings })
    })
}

/// Loads and validates what the source offers. It is kept if other data may be put under it.
fn first_guest(
    engine: &Arc<Engine>,
    source: &dyn Source,
    source_name: Option<&str>,
    is_kept: bool,
) -> anyhow::Result<LoadedGuest> {
    let offer = source.read()?;
    let path = name(source, &offer);
    let what = compiling(&path, &offer);
    let log =
        move || tracing::info!(path, "guest is compiled and validated, which may take a minute");
    let mut validated = progress::during_or_log(what, log, || validate(engine, &offer))
        .map_err(|error| anyhow!(error).context(format!("{} is rejected", name(source, &offer))))?;
    if let Some(file) = source_name.filter(|_| offer.origin != Origin::BuiltIn) {
        let data = offer.data_path().map(|path| path.display().to_string());
        deploy::log_first(&validated, file, data.as_deref());
    }
    if is_kept {
        validated.keep(offer);
    }
    Ok(validated.guest)
}
