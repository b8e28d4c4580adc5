//! What a server does from its first request to its end: it obeys signals, notifies the
//! service manager, and stops.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::signals::{Asked, Signals};
use crate::admin::Reload;
use crate::admin::status::MissedHeartbeat;
use crate::clock;
use crate::guest::runtime::swap::Swap;
use crate::server::{HEARTBEAT, Running};
use crate::service::Service;
use crate::service_manager;
use crate::throttle::Throttle;

/// Time for workers to reset their connections when a second signal comes.
const RESET_GRACE: Duration = Duration::from_secs(1);

/// How often the heartbeats of workers are read where the service manager sets no interval.
/// Workers beat once a second.
const HEARTBEATS_READ: Duration = Duration::from_secs(5);

/// How the server stopped.
pub(super) enum Stopped {
    /// All requests in flight are finished, or cut after the time that they have.
    Gracefully,
    /// A second signal ended it.
    AtOnce,
}

/// A server that serves.
pub(super) struct Lifecycle {
    pub(super) running: Running,
    /// What reads the configuration, guests and certificates again.
    pub(super) reload: Reload,
    /// Has the access logs.
    pub(super) service: Arc<Service>,
    /// Whether the memory of guests may be swapped out.
    pub(super) swap: Arc<Swap>,
    /// What the service manager shows.
    pub(super) status: String,
    /// Becomes false when the server stops.
    pub(super) readiness: watch::Sender<bool>,
    /// The worker that missed its heartbeat, for `/healthz`.
    pub(super) missed: watch::Sender<Option<MissedHeartbeat>>,
    /// Time for requests in flight when the server stops.
    pub(super) stop_timeout: Duration,
}

impl Lifecycle {
    /// Serves until a signal says to stop, and stops.
    pub(super) async fn run(self, mut signals: Signals) -> Stopped {
        service_manager::ready(&self.status);
        tokio::select! {
            () = self.obey(&mut signals) => {}
            () = self.watch_workers() => {}
        }
        service_manager::stopping();
        self.readiness.send_replace(false);
        stop(self.running, &mut signals, self.stop_timeout).await
    }

    /// Does what signals say, until one says to stop.
    async fn obey(&self, signals: &mut Signals) {
        loop {
            match signals.next().await {
                Asked::Stop => break,
                Asked::Reopen => {
                    let logs = self.service.logs();
                    logs.iter().for_each(|log| log.reopen());
                    if logs.is_empty() {
                        tracing::warn!("no access log to reopen");
                    }
                }
                Asked::Reload => {
                    service_manager::reloading();
                    let (reloaded, status) = ((self.reload)(), self.status.clone());
                    tokio::spawn(async move {
                        // What came of it is logged.
                        let _ = reloaded.await;
                        service_manager::ready(&status);
                    });
                }
            }
        }
    }

    /// Watches the heartbeats of the workers. The service manager is notified while none is
    /// missed, as often as it expects, and `/healthz` tells which one is.
    async fn watch_workers(&self) {
        let watchdog = service_manager::watchdog();
        let pause = watchdog.unwrap_or(HEARTBEATS_READ);
        let throttle = Throttle::new();
        let mut before = self.running.heartbeats();
        let mut looked = Instant::now();
        loop {
            tokio::time::sleep(pause).await;
            self.swap.look();
            // In a shorter time there may be no heartbeat: a service manager that expects to be
            // notified more often is told what was seen last.
            if looked.elapsed() >= pause.max(2 * HEARTBEAT) {
                let now = self.running.heartbeats();
                let worker = before.iter().zip(&now).position(|(before, now)| before >= now);
                let heartbeat =
                    worker.map(|worker| MissedHeartbeat { worker, elapsed: looked.elapsed() });
                if let Some(MissedHeartbeat { worker, elapsed }) = heartbeat {
                    let elapsed_ms = clock::millis(elapsed);
                    throttle.log(|suppressed| {
                        tracing::error!(
                            worker,
                            elapsed_ms,
                            suppressed,
                            "worker missed its heartbeat"
                        );
                    });
                } else if self.missed.borrow().is_some() {
                    tracing::info!("all workers have a heartbeat again");
                }
                self.missed.send_replace(heartbeat);
                (before, looked) = (now, Instant::now());
            }
            if watchdog.is_some() && self.missed.borrow().is_none() {
                service_manager::alive();
            }
        }
    }
}

/// Finishes what is in flight, or stops at once when a second signal comes.
async fn stop(mut running: Running, signals: &mut Signals, stop_timeout: Duration) -> Stopped {
    tracing::info!("stopping, a second signal stops at once");
    let places = running.places();
    running.close().await;
    tokio::select! {
        cut = running.stop(stop_timeout) => {
            match cut {
                0 => tracing::info!("stopped"),
                cut => tracing::warn!(connections = cut, "stopped, slow connections were cut"),
            }
            Stopped::Gracefully
        }
        () = signals.stop() => {
            tracing::warn!("stopped at once");
            // Workers are stopped now, and reset their connections: this process must not leave
            // responses to the kernel that no client takes.
            let _ = tokio::time::timeout(RESET_GRACE, places.are_free()).await;
            Stopped::AtOnce
        }
    }
}
