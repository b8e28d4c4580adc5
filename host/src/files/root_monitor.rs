//! Looks after a site that nobody asks: notices that the root's path does not lead to what
//! is served any more, and lets go of files that were removed.
//!
//! The root is opened once. A deployment that replaces the directory, or somebody who
//! removes or unmounts it, changes nothing of what is served, or takes all of it away; who
//! then looks for the reason finds it in the log.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, statat};

use super::Files;
use super::beneath::Root;

/// How often it is looked at.
const LOOK: Duration = Duration::from_secs(5);

impl Files {
    /// Looks from time to time whether this path still leads to the root, and tells when it
    /// does not; and closes files that nobody has asked for since. On a thread of its own, which
    /// nobody waits for: a disk may not answer.
    pub fn monitor_root(&self, path: PathBuf) -> io::Result<()> {
        let (root, caches) = (Arc::clone(&self.root), Arc::clone(&self.caches));
        let watch = move || {
            let mut was_there = true;
            loop {
                thread::sleep(LOOK);
                for cache in &*caches {
                    cache.let_go(Instant::now());
                }
                let is_there = leads_to(&path, &root);
                let path = path.display();
                match (was_there, is_there) {
                    (true, false) => tracing::warn!(
                        "{path} is not the directory that is served any more: that one was \
                         opened at the start, and stays the root until a restart"
                    ),
                    (false, true) => {
                        tracing::info!("{path} is again the directory that is served");
                    }
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
