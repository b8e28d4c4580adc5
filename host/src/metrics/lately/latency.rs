//! How long responses of the last minute took: a histogram whose buckets are an eighth wide.

use std::time::Duration;

use super::seconds::place;

/// Seconds of which the durations are told in one figure.
pub const MINUTE: usize = 60;

/// Durations up to this many microseconds have buckets of one microsecond.
const EXACT: usize = 16;

/// Above, each power of two has this many buckets.
const PARTS: usize = 8;

/// What takes longer than two minutes counts as that.
const BUCKETS: usize = EXACT + 23 * PARTS;

/// Seconds of one histogram: the minute is moved on by so many.
const STEP: usize = 10;

/// One that is not over, and those of a minute.
const STEPS: usize = MINUTE / STEP + 1;

type Histogram = [u32; BUCKETS];

/// Memory of the ring.
pub(super) const BYTES: usize = STEPS * size_of::<(u64, Histogram)>();

/// The histograms of the last steps: a ring.
pub(super) struct Latency(Box<[(u64, Histogram); STEPS]>);

impl Default for Latency {
    fn default() -> Self {
        Latency(Box::new([(0, [0; BUCKETS]); STEPS]))
    }
}

impl Latency {
    /// Counts a response.
    pub(super) fn note(&mut self, second: u64, duration: Duration) {
        let step = second / STEP as u64;
        let (of, histogram) = &mut self.0[place(step, STEPS)];
        if *of != step {
            (*of, *histogram) = (step, [0; BUCKETS]);
        }
        histogram[bucket(duration)] += 1;
    }

    /// Adds what was counted in the last minute.
    pub(super) fn sum(&self, now: u64, sums: &mut Counts) {
        let step = now / STEP as u64;
        let recent = self.0.iter().filter(|(of, _)| *of <= step && step - of < STEPS as u64);
        for (_, histogram) in recent {
            for (sum, &count) in sums.0.iter_mut().zip(histogram) {
                *sum += u64::from(count);
            }
        }
    }
}

/// The sum of histograms.
pub(super) struct Counts([u64; BUCKETS]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; BUCKETS])
    }
}

impl Counts {
    /// The duration that so many of a hundred do not exceed. `None` if nothing was counted.
    pub(super) fn percentile(&self, percent: u64) -> Option<Duration> {
        let all: u64 = self.0.iter().sum();
        let wanted = (all * percent).div_ceil(100).max(1);
        let mut so_far = 0;
        let bucket = self.0.iter().position(|&count| {
            so_far += count;
            so_far >= wanted
        })?;
        Some(Duration::from_micros(middle(bucket)))
    }
}

fn bucket(duration: Duration) -> usize {
    let Ok(micros) = u32::try_from(duration.as_micros()) else { return BUCKETS - 1 };
    let bucket = if micros < 16 {
        micros as usize
    } else {
        let power = micros.ilog2();
        // The three bits behind the first.
        EXACT + (power as usize - 4) * PARTS + ((micros >> (power - 3)) as usize & (PARTS - 1))
    };
    bucket.min(BUCKETS - 1)
}

/// The middle of a bucket, in microseconds.
fn middle(bucket: usize) -> u64 {
    if bucket < EXACT {
        return bucket as u64;
    }
    let (power, part) = ((bucket - EXACT) / PARTS + 4, (bucket - EXACT) % PARTS);
    let width = 1 << (power - 3);
    (1 << power) + part as u64 * width + width / 2
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Counts, Latency, bucket, middle};
    use std::time::Duration;

    #[test]
    fn bucket_is_an_eighth_wide_at_most() {
        for micros in (0..4_000).chain((0..27).map(|power| (1 << power) * 3 / 2)) {
            let bucket = bucket(Duration::from_micros(micros));
            let told = middle(bucket);
            assert!(told.abs_diff(micros) * 16 <= micros.max(16), "{micros}: {told}");
        }
        assert_eq!(bucket(Duration::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_are_those_of_the_last_minute() {
        let mut latency = Latency::default();
        let sum = |latency: &Latency, now| {
            let mut sums = Counts::default();
            latency.sum(now, &mut sums);
            [50, 99].map(|percent| sums.percentile(percent).map(|it| it.as_micros()))
        };
        assert_eq!(sum(&latency, 5), [None, None]);
        for number in 0..100 {
            latency.note(5, Duration::from_micros(if number < 98 { 10 } else { 1_000_000 }));
        }
        let [p50, p99] = sum(&latency, 60);
        assert_eq!(p50, Some(10));
        assert!(p99.is_some_and(|p99| p99.abs_diff(1_000_000) < 70_000), "{p99:?}");
        assert_eq!(sum(&latency, 100), [None, None]);
    }
}
