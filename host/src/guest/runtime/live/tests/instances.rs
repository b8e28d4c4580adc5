//! Instances that are kept, and those that are not.

use std::sync::atomic::Ordering;

use super::merged::adapted;
use super::{Both, engine, guest, request};
use crate::guest::runtime::limits::DecisionLimits;
use crate::guest::runtime::live::guest::{COMPARED, HOPELESS, TRIED};
use crate::guest::runtime::live::instances::{Decider, Instances, kept};

impl Both {
    /// Decides live on a worker; whether that was done.
    fn decides_live(&self, line: &str, limits: DecisionLimits) -> bool {
        let request = request(line, &[]);
        self.live.decide(&self.engine, Decider::Worker(0), &request, limits).is_some()
    }

    fn kept(&self) -> &Instances {
        self.live.instances.of(Decider::Worker(0))
    }
}

#[test]
fn instance_that_was_not_put_back_ends_live_decisions() {
    let both = Both::of(&engine(), &guest("", ""), None);
    let limits = both.engine.limits().decision;
    assert!(both.decides_live("", limits) && both.live.is_on());
    let mut instance = both.kept().take(both.live.number).expect("it is kept");
    // Far from what the guest touches.
    instance.spoil(90_000);
    both.kept().put(both.live.number, instance);
    both.kept().resets.store(COMPARED - 2, Ordering::Relaxed);
    assert!(both.decides_live("", limits), "this one is not compared");
    assert!(!both.decides_live("", limits) && !both.live.is_on());
    assert!(both.kept().take(both.live.number).is_none(), "an instance is kept");
    assert!(!both.decides_live("", limits));
    assert_eq!(both.engine.decided().differences, 1);
}

#[test]
fn guest_that_nearly_always_calls_the_host_is_seldom_tried() {
    let both = Both::of(&engine(), &adapted("(drop (call $now))", ""), None);
    let limits = both.engine.limits().decision;
    for _ in 0..1_000 {
        assert!(!both.decides_live("", limits));
    }
    let made = both.kept().made.load(Ordering::Relaxed);
    assert!(made <= u64::from(HOPELESS / 4 + 1_000 / TRIED + 2), "{made} instances");
}

#[test]
fn guest_that_grows_each_time_and_has_no_spare_memory_is_seldom_tried() {
    let grows = guest("", "(drop (memory.grow (i32.const 1)))");
    let both = Both::with(&engine(), &grows, None, false);
    let limits = both.engine.limits().decision;
    for _ in 0..1_000 {
        both.decides_live("", limits);
    }
    let made = both.kept().made.load(Ordering::Relaxed);
    assert!(made <= u64::from(HOPELESS / 4 + 1_000 / TRIED + 2), "{made} instances");
    // With memory to spare one instance does.
    let both = Both::with(&engine(), &grows, None, true);
    assert!((0..1_000).all(|_| both.decides_live("", limits)));
    assert_eq!(both.kept().made.load(Ordering::Relaxed), 1);
}

#[test]
fn guest_that_rarely_calls_the_host_is_tried_each_time() {
    let body = "(if (i32.eqz (local.get $length)) (then (drop (call $now))))";
    let both = Both::of(&engine(), &adapted(body, ""), None);
    let limits = both.engine.limits().decision;
    for number in 0..1_000 {
        let line = if number % 10 == 0 { "" } else { "x" };
        assert_eq!(both.decides_live(line, limits), !line.is_empty());
    }
}

#[test]
fn guest_whose_site_allows_less_memory_is_decided_fresh() {
    let body = "(drop (memory.grow (local.get $length)))";
    let both = Both::of(&engine(), &guest("", body), None);
    let limits = DecisionLimits { memory_bytes: 4 << 16, ..both.engine.limits().decision };
    assert!(both.decides_live("x", limits));
    assert!(!both.decides_live("xxxxx", limits));
}

#[test]
fn least_used_instances_are_given_up() {
    let engine = engine();
    let guests: Vec<_> = (0..=kept(1))
        .map(|number| guest("", &format!("(drop (i32.const {number}))")))
        .map(|guest| Both::of(&engine, &guest, None))
        .collect();
    for both in &guests {
        assert!(both.decides_live("", engine.limits().decision));
    }
    let is_kept = |both: &Both| both.kept().take(both.live.number).is_some();
    assert!(!is_kept(&guests[0]));
    assert!(guests[1..].iter().all(is_kept));
}
