//! The form that Prometheus reads: its text format, version 0.0.4.

use std::time::Duration;

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

use super::counter::{Counter as Counted, Histogram as Observed};

/// Names and values that tell the members of a family apart.
pub type Labels<'a> = Vec<(&'a str, &'a str)>;

/// Numbers that only grow.
pub fn counter<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, u64)>,
) -> MetricFamily {
    let values = values.into_iter().map(|(labels, value)| (labels, value as f64));
    counter_of(name, help, values)
}

/// Time that only grows.
pub(super) fn counter_of_time(name: &str, help: &str, value: Duration) -> MetricFamily {
    counter_of(name, help, [(vec![], value.as_secs_f64())])
}

fn counter_of<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> MetricFamily {
    family(name, help, MetricType::COUNTER, values, |metric, value| {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    })
}

/// Numbers that go up and down.
pub fn gauge<'a>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, f64)>,
) -> MetricFamily {
    family(name, help, MetricType::GAUGE, values, |metric, value| {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    })
}

/// How often something took how long: each with what was observed of it.
pub(super) fn histogram<'a, const N: usize>(
    name: &str,
    help: &str,
    values: impl IntoIterator<Item = (Labels<'a>, Vec<&'a Observed<N>>)>,
    bounds: &[u64; N],
) -> MetricFamily {
    let values = values.into_iter().map(|(labels, observed)| (labels, sum(&observed, bounds)));
    family(name, help, MetricType::HISTOGRAM, values, Metric::set_histogram)
}

fn sum<const N: usize>(observed: &[&Observed<N>], bounds: &[u64; N]) -> Histogram {
    let sum = |counter: fn(&Observed<N>) -> &Counted| -> u64 {
        observed.iter().map(|observed| counter(observed).get()).sum()
    };
    let mut cumulative = 0;
    let buckets = bounds.iter().enumerate().map(|(number, &bound)| {
        cumulative += observed.iter().map(|one| one.buckets[number].get()).sum::<u64>();
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(bound as f64 / 1e6);
        bucket.set_cumulative_count(cumulative);
        bucket
    });
    let buckets: Vec<_> = buckets.collect();
    let mut histogram = Histogram::default();
    // What is counted meanwhile must not make a bucket larger than the whole.
    histogram.set_sample_count(sum(|observed| &observed.count).max(cumulative));
    histogram.set_sample_sum(sum(|observed| &observed.nanoseconds) as f64 / 1e9);
    histogram.set_bucket(buckets);
    histogram
}

/// A family, one metric for each value.
fn family<'a, V>(
    name: &str,
    help: &str,
    kind: MetricType,
    values: impl IntoIterator<Item = (Labels<'a>, V)>,
    set: impl Fn(&mut Metric, V),
) -> MetricFamily {
    let pair = |(name, value): (&str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name(name.to_owned());
        pair.set_value(value.to_owned());
        pair
    };
    let metrics = values.into_iter().map(|(labels, value)| {
        let mut metric = Metric::from_label(labels.into_iter().map(pair).collect());
        set(&mut metric, value);
        metric
    });
    let mut family = MetricFamily::default();
    family.set_name(name.to_owned());
    family.set_help(help.to_owned());
    family.set_field_type(kind);
    family.set_metric(metrics.collect());
    family
}

/// Writes families in the text format: those that have a metric.
pub fn write(families: &[MetricFamily]) -> String {
    let mut text = String::new();
    let families: Vec<_> =
        families.iter().filter(|family| !family.get_metric().is_empty()).cloned().collect();
    prometheus::TextEncoder::new()
        .encode_utf8(&families, &mut text)
        .expect("each family has a metric, and each name is a name");
    text
}
