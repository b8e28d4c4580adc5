//! Watches a root between requests: warns when its path does not lead to the served directory any
//! more, and closes files that were removed.
//!
//! The root is opened once. A deployment that replaces the directory changes nothing of the
//! responses; removing or unmounting it takes all of them away. The log tells the reason.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, statat};

use super::beneath::Root;
use super::lookup::Files;

/// How often the root is compared with its path.
const INTERVAL: Duration = Duration::from_secs(5);

impl Files {
    /// Compares the root with its path from time to time, and logs when they differ; and closes
    /// files whose cached lookups are stale. It has a thread of its own, which no other one waits
    /// for: a disk may give no answer.
    pub fn monitor_root(&self, path: PathBuf) -> io::Result<()> {
        let (root, caches) = (Arc::clone(&self.root), Arc::clone(&self.caches));
        let watch = move || {
            let mut was_there = true;
            loop {
                thread::sleep(INTERVAL);
                caches.close_stale(Instant::now());
                let is_there = leads_to(&path, &root);
                let path = tracing::field::display(path.display());
                match (was_there, is_there) {
                    (true, false) => tracing::warn!(
                        path,
                        "root was replaced, the old one is served until a restart"
                    ),
                    (false, true) => tracing::info!(path, "root is the one that is served again"),
                    _ => {}
                }
                was_there = is_there;
            }
        };
        thread::Builder::new().name("root".to_owned()).spawn(watch).map(drop)
    }
}

fn leads_to(path: &PathBuf, root: &Root) -> bool {
    let there = statat(CWD, path, rustix::fs::AtFlags::empty());
    there.is_ok_and(|there| {
        root.status().is_ok_and(|root| (root.st_dev, root.st_ino) == (there.st_dev, there.st_ino))
    })
}
