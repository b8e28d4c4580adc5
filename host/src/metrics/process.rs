//! What the process uses of the system, under the names that all client libraries of Prometheus
//! have for it: dashboards and alerts that are there know them.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::time::Duration;

use prometheus::proto::MetricFamily;
use rustix::fs::Dir;
use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use super::exposition::{counter_of_time, gauge};
use crate::lock::lock;

/// Bytes of `/proc/self/statm`: seven numbers.
const STATM_BYTES: usize = 256;

/// What is read of the process. It is opened before the sandbox is entered, which has no `/proc`.
pub struct Process {
    statm: Option<File>,
    descriptors: Option<Mutex<Dir>>,
}

impl Process {
    /// Opens what is there: without `/proc` there are fewer metrics.
    pub fn open() -> Process {
        let descriptors = File::open("/proc/self/fd").ok().and_then(|fd| Dir::new(fd).ok());
        Process {
            statm: File::open("/proc/self/statm").ok(),
            descriptors: descriptors.map(Mutex::new),
        }
    }

    /// The metrics of the process, which started at this time since 1970.
    pub(super) fn families(&self, started: Duration) -> Vec<MetricFamily> {
        let one = |name, help, value: f64| gauge(name, help, [(vec![], value)]);
        let mut families = vec![
            counter_of_time(
                "process_cpu_seconds_total",
                "Time that the process had a processor, of the user and of the system.",
                Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap_or_default(),
            ),
            one(
                "process_start_time_seconds",
                "Time of the start of the process, in seconds since 1970.",
                started.as_secs_f64(),
            ),
        ];
        if let Some((virtual_bytes, resident_bytes)) = self.memory() {
            families.extend([
                one(
                    "process_resident_memory_bytes",
                    "Memory of the process that is in use.",
                    resident_bytes as f64,
                ),
                one(
                    "process_virtual_memory_bytes",
                    "Address space of the process. Guests reserve much, and use little of it.",
                    virtual_bytes as f64,
                ),
            ]);
        }
        if let Some(count) = self.descriptors() {
            families.push(one("process_open_fds", "Open file descriptors.", count as f64));
        }
        if let Some(limit) = getrlimit(Resource::Nofile).current {
            let help = "The most file descriptors that may be open.";
            families.push(one("process_max_fds", help, limit as f64));
        }
        families
    }

    /// Bytes of address space, and of memory in use (proc_pid_statm(5)).
    fn memory(&self) -> Option<(u64, u64)> {
        let mut bytes = [0; STATM_BYTES];
        let length = self.statm.as_ref()?.read_at(&mut bytes, 0).ok()?;
        let text = str::from_utf8(&bytes[..length]).ok()?;
        let page_bytes = rustix::param::page_size() as u64;
        let mut pages = text.split(' ').map_while(|number| number.parse::<u64>().ok());
        Some((pages.next()? * page_bytes, pages.next()? * page_bytes))
    }

    fn descriptors(&self) -> Option<usize> {
        let mut entries = lock(self.descriptors.as_ref()?);
        entries.rewind();
        let names: io::Result<Vec<_>> = entries
            .by_ref()
            .map(|entry| Ok(entry?.file_name().to_bytes().first().copied()))
            .collect();
        // `.` and `..` are none.
        Some(names.ok()?.into_iter().filter(|first| *first != Some(b'.')).count())
    }
}

#[cfg(test)]
mod tests {
    use super::Process;
    use std::fs::File;

    #[test]
    fn memory_and_descriptors_are_those_of_now() {
        let process = Process::open();
        let (virtual_bytes, resident_bytes) = process.memory().expect("statm");
        assert!(virtual_bytes >= resident_bytes && resident_bytes > 1 << 20);
        // Other tests open and close files meanwhile.
        let held: Vec<_> = (0..300).map(|_| File::open("/dev/null").expect("a file")).collect();
        let open = process.descriptors().expect("descriptors");
        assert!(open > 300, "{open}");
        drop(held);
        assert!(process.descriptors().expect("descriptors") < open);
    }
}
