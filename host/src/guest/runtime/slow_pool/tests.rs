//! Slow decisions: their order, what is displaced, and what is left to other sites.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use super::{Asker, Failure, SlowPool, WAITING};
use crate::lock::lock;

/// A client of the only site.
fn client(number: u8) -> Asker {
    Asker { site: None, ..of_site(0, number) }
}

fn of_site(site: u32, number: u8) -> Asker {
    let client = IpAddr::from([192, 0, 2, number]);
    Asker { site: Some(site), client, deadline: Duration::from_millis(100) }
}

/// A pool of one thread that is in use until the sender is dropped.
fn blocked() -> (tokio::runtime::Runtime, Arc<SlowPool>, mpsc::Sender<()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let slow_pool = Arc::new(SlowPool::start(1).expect("a thread"));
    let (end, ended) = mpsc::channel::<()>();
    let (begin, begun) = mpsc::channel();
    let wait = move || {
        begin.send(()).expect("the test waits");
        let _ = ended.recv();
        Ok(())
    };
    let pool = Arc::clone(&slow_pool);
    runtime.spawn(async move { pool.run(client(1), wait).await });
    runtime.block_on(tokio::task::yield_now());
    begun.recv().expect("it runs");
    (runtime, slow_pool, end)
}

#[test]
fn decision_beyond_the_queue_is_busy_at_once() {
    let (runtime, slow_pool, end) = blocked();
    let wait = |number| {
        let slow_pool = Arc::clone(&slow_pool);
        runtime.spawn(async move { slow_pool.run(client(1), move || Ok(number)).await })
    };
    let waiting: Vec<_> = (0..WAITING).map(wait).collect();
    // A runtime needs several turns for this many.
    for _ in 0..WAITING {
        runtime.block_on(tokio::task::yield_now());
    }
    assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(0))), Err(Failure::Busy));
    drop(end);
    for (number, waiting) in waiting.into_iter().enumerate() {
        assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(number));
    }
    assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(1))), Ok(1));
}

#[test]
fn clients_take_turns_and_the_longest_queue_loses_work() {
    let (runtime, slow_pool, end) = blocked();
    let (done, order) = mpsc::channel();
    let wait = |from: u8, number: usize| {
        let (slow_pool, done) = (Arc::clone(&slow_pool), done.clone());
        let decide = move || done.send((from, number)).map_err(|_| Failure::Busy);
        runtime.spawn(async move { slow_pool.run(client(from), decide).await })
    };
    let settle = || {
        for _ in 0..WAITING {
            runtime.block_on(tokio::task::yield_now());
        }
    };
    let mut flood: Vec<_> = (0..WAITING).map(|number| wait(1, number)).collect();
    settle();
    let honest: Vec<_> = (0..3).map(|number| wait(2, number)).collect();
    let third = wait(3, 0);
    settle();
    drop(end);
    for waiting in honest.into_iter().chain([third]) {
        assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
    }
    // The last that came gave their places.
    for displaced in flood.drain(WAITING - 4..) {
        assert_eq!(runtime.block_on(displaced).expect("no panic"), Err(Failure::Busy));
    }
    for waiting in flood {
        assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
    }
    let order: Vec<_> = order.try_iter().take(8).collect();
    assert_eq!(order, [(1, 0), (2, 0), (3, 0), (1, 1), (2, 1), (1, 2), (2, 2), (1, 3)]);
}

#[test]
fn flood_of_one_site_waits_for_the_turns_of_others() {
    let (runtime, slow_pool, end) = blocked();
    let (done, order) = mpsc::channel();
    let wait = |site: u32, client: u8| {
        let (slow_pool, done) = (Arc::clone(&slow_pool), done.clone());
        let decide = move || done.send((site, client)).map_err(|_| Failure::Busy);
        runtime.spawn(async move { slow_pool.run(of_site(site, client), decide).await })
    };
    let settle = || {
        for _ in 0..2 * WAITING {
            runtime.block_on(tokio::task::yield_now());
        }
    };
    // Each of its clients has one decision only.
    let clients = 0..u8::try_from(WAITING).expect("few wait");
    let flood: Vec<_> = clients.map(|number| wait(1, number)).collect();
    settle();
    let mut others: Vec<_> = (0..3).map(|_| wait(2, 0)).collect();
    settle();
    others.push(wait(3, 0));
    settle();
    drop(end);
    for waiting in others {
        assert_eq!(runtime.block_on(waiting).expect("no panic"), Ok(()));
    }
    let flood = flood.into_iter().map(|waiting| runtime.block_on(waiting).expect("no panic"));
    let displaced = flood.filter(|outcome| *outcome == Err(Failure::Busy)).count();
    assert_eq!(displaced, 4);
    let sites: Vec<_> = order.try_iter().map(|(site, _)| site).take(8).collect();
    assert_eq!(sites, [1, 2, 3, 1, 2, 1, 2, 1]);
}

#[test]
fn long_decisions_of_a_site_leave_others_a_thread() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let slow_pool = Arc::new(SlowPool::start(3).expect("threads"));
    let (end, ended) = mpsc::channel::<()>();
    let ended = Arc::new(Mutex::new(ended));
    let begin = |asker| {
        let (pool, ended) = (Arc::clone(&slow_pool), Arc::clone(&ended));
        let decide = move || {
            let _ = lock(&ended).recv();
            Ok(())
        };
        runtime.spawn(async move { pool.run(asker, decide).await })
    };
    let long = |site| Asker { deadline: Duration::from_secs(10), ..of_site(site, 1) };
    let flood: Vec<_> = (0..8).map(|_| begin(long(1))).collect();
    for _ in 0..100 {
        runtime.block_on(tokio::task::yield_now());
    }
    // Whatever is long of another site, too, and all of the only one.
    assert_eq!(runtime.block_on(slow_pool.run(of_site(2, 1), || Ok(2))), Ok(2));
    assert_eq!(runtime.block_on(slow_pool.run(long(3), || Ok(3))), Ok(3));
    drop(end);
    for made in flood {
        assert_eq!(runtime.block_on(made).expect("no panic"), Ok(()));
    }
    // The last thread notes that after it gave the result.
    while !slow_pool.queue.waiting().long.is_empty() {
        std::thread::yield_now();
    }
}

#[test]
fn decision_that_waited_too_long_is_busy() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let slow_pool = SlowPool::with(1, Duration::ZERO).expect("a thread");
    let late = slow_pool.run(client(1), || -> Result<(), Failure> { panic!("it is begun") });
    assert_eq!(runtime.block_on(late), Err(Failure::Busy));
}

#[test]
fn panic_is_a_trap_of_one_decision() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let slow_pool = SlowPool::start(1).expect("a thread");
    let panics =
        slow_pool.run(client(1), || -> Result<(), Failure> { panic!("as a test wants it") });
    assert!(matches!(runtime.block_on(panics), Err(Failure::Trap(_))));
    assert_eq!(runtime.block_on(slow_pool.run(client(1), || Ok(1))), Ok(1));
}
