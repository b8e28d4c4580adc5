//! The line that a client ends with, in the form of those of the other load generators.

use std::time::Duration;

/// What the connections of a run saw.
#[derive(Default)]
pub struct Seen {
    /// Of each response that came whole.
    pub latencies: Vec<Duration>,
    /// Bytes that came.
    pub bytes: u64,
    /// Responses with a status of 400 and more.
    pub error_statuses: u64,
    /// Connections or requests that failed.
    pub failed: u64,
    /// Handshakes that resumed a session.
    pub resumed: u64,
    /// Bytes of downloads beside.
    pub beside_bytes: u64,
}

impl Seen {
    pub fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.bytes += other.bytes;
        self.error_statuses += other.error_statuses;
        self.failed += other.failed;
        self.resumed += other.resumed;
        self.beside_bytes += other.beside_bytes;
    }

    pub fn print(mut self, took: Duration) {
        self.latencies.sort_unstable();
        let latencies = &self.latencies;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index below the number of latencies"
        )]
        let percentile = |share: f64| {
            let index = (latencies.len() as f64 * share) as usize;
            latencies.get(index).map_or(0, Duration::as_micros)
        };
        println!(
            "RESULT {{\"requests\": {}, \"bytes\": {}, \"microseconds\": {}, \
             \"p50_us\": {}, \"p99_us\": {}, \"p999_us\": {}, \"error_statuses\": {}, \
             \"errors\": {{\"connect\": 0, \"read\": {}, \"write\": 0, \"timeout\": 0}}, \
             \"resumed\": {}, \"beside_bytes\": {}}}",
            latencies.len(),
            self.bytes,
            took.as_micros(),
            percentile(0.5),
            percentile(0.99),
            percentile(0.999),
            self.error_statuses,
            self.failed,
            self.resumed,
            self.beside_bytes,
        );
    }
}
