//! One generation takes the place of another, which is freed when its last request is done.

use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use super::active::ActiveGuest;
use super::history::Outcome;
use crate::guest::loaded_guest::LoadedGuest;
use crate::guest::validation::validate::Validated;
use crate::supervise;

/// How often it is looked whether the last request of an old generation is done.
/// None takes longer than its wait for a thread and its deadline.
const DRAIN_TICK: Duration = Duration::from_millis(1);

/// Puts generations in service.
#[derive(Clone)]
pub(in crate::guest) struct Succession {
    serving: Arc<ActiveGuest>,
    retired: Sender<Retired>,
}

/// A generation that was replaced.
struct Retired {
    generation: Arc<LoadedGuest>,
    at: Instant,
}

impl Succession {
    /// Starts the thread that frees what was replaced: that may take milliseconds, which are
    /// no worker's to spend, and waiting for its last request, which is nobody's.
    pub(in crate::guest) fn start(serving: Arc<ActiveGuest>) -> std::io::Result<Succession> {
        let (retired, receiver) = mpsc::channel::<Retired>();
        thread::Builder::new().name("retire".to_owned()).spawn(move || {
            supervise::thread("release", || {
                receiver.iter().for_each(free);
                Ok(())
            });
        })?;
        Ok(Succession { serving, retired })
    }

    pub(in crate::guest) fn serving(&self) -> &ActiveGuest {
        &self.serving
    }

    /// Warms up a generation and puts it in service.
    pub(in crate::guest) fn publish(
        &self,
        validated: Validated,
        whence: &str,
        began: Instant,
        told: &str,
    ) {
        let Validated { generation, report, compile, check } = validated;
        let digest = generation.digest();
        let old = self.serving.current();
        warn_of_imports(&format!("the guest {digest} {whence}"), &generation);
        let warming = Instant::now();
        let warmed = generation.warm_up(&old);
        let warming = warming.elapsed();
        let gone = self.serving.publish(generation);
        let told = format!(
            "{whence} serves in place of {} after {:.1?}: {told}, compiled in {compile:.1?}, checked \
             on {} request lines and {} cases in {check:.1?}, {warmed} decisions warmed up in \
             {warming:.1?}",
            old.digest(),
            began.elapsed(),
            report.lines,
            report.cases,
        );
        drop(old);
        tracing::info!("the guest {digest} {told}");
        self.serving.history().note(Outcome::Served, Some(digest), told);
        self.retire(gone);
    }

    /// Has a generation freed that is needed no longer.
    pub(in crate::guest) fn retire(&self, generation: Option<Arc<LoadedGuest>>) {
        let Some(generation) = generation else { return };
        // The thread ends when nobody can retire any more.
        let _ = self.retired.send(Retired { generation, at: Instant::now() });
    }
}

/// Imports of one guest that are warned of, each in a line. Toolchains add some twenty.
const TOLD_IMPORTS: usize = 50;

/// Tells what a guest names as imports.
pub fn warn_of_imports(name: &str, generation: &LoadedGuest) {
    let imports = generation.imports();
    for import in imports.iter().take(TOLD_IMPORTS) {
        tracing::warn!("{name} imports {import}; calling it traps");
    }
    if let Some(more) = imports.len().checked_sub(TOLD_IMPORTS).filter(|&more| more > 0) {
        tracing::warn!("{name} has {more} imports more; `innkeeper check` lists them");
    }
}

/// Waits for the last request that uses this generation, and frees it.
fn free(Retired { generation, at }: Retired) {
    let digest = generation.digest();
    let mut shared = generation;
    loop {
        match Arc::try_unwrap(shared) {
            Ok(unused) => {
                drop(unused);
                break;
            }
            Err(still_shared) => shared = still_shared,
        }
        thread::sleep(DRAIN_TICK);
    }
    tracing::info!("the guest {digest} is gone, {:.1?} after it was replaced", at.elapsed());
}
