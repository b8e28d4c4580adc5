//! How much the kernel holds for a client that has not taken it.
//!
//! The kernel accepts up to 4 MiB of a response in advance, also for a client that reads
//! nothing, and a crowd of those would have all the memory that the kernel has for
//! connections. So from the first byte on little is held that is not on its way yet
//! (`TCP_NOTSENT_LOWAT`, tcp(7)), and more only for a client that takes it: what it takes in
//! half a second. Listeners have the lowest value, which connections inherit, so that a small
//! response costs no system call.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use socket2::SockRef;

/// Unsent bytes of a connection to begin with. A response of this size is accepted whole. A
/// client that reads nothing has the kernel hold twice as much at most: what is sent at once
/// may come on top. See benches/README.md, "Slow readers and crowds".
pub(crate) const UNSENT_LOW_WATERMARK: u32 = 64 << 10;

/// The same in a crowd: with thousands that read nothing, 64 KiB each are too much.
pub(crate) const CROWD_LOW_WATERMARK: u32 = 16 << 10;

/// From this number on, clients of a worker that have not taken what was sent to them are a crowd.
/// Below it, no client is sent less.
pub(crate) const CROWD: usize = 128;

/// By how much more a client gets when it proves to be fast for the first time: its kernel may
/// have taken that without it. After that it gets what it deserves.
const STEP: u32 = 4;

/// At this limit only the kernel's counts, which is the same by default
/// (`net.ipv4.tcp_wmem`).
const MOST_BYTES: u32 = 4 << 20;

/// What all clients of a worker may have beyond [`UNSENT_LOW_WATERMARK`] each: 16 of them as much as
/// the kernel gives. More than that are slowed by one another anyway.
pub(crate) const SHARED_BYTES: u64 = 64 << 20;

/// The part of a second for which a client is given bytes in advance.
const IN_ADVANCE: Duration = Duration::from_millis(500);

/// What the kernel holds for the clients of one worker.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    /// Clients that have not taken what was sent to them.
    crowd: AtomicUsize,
    /// Bytes that are given beyond [`UNSENT_LOW_WATERMARK`].
    given: AtomicU64,
}

/// What the kernel holds for one of them.
#[derive(Debug)]
pub(super) struct Share<'a> {
    all: &'a Unsent,
    /// The most unsent bytes that the kernel accepts.
    bytes: u32,
    /// How many of the shared bytes this client has.
    given: u32,
    is_counted: bool,
}

impl Unsent {
    /// The least that a client is given.
    fn least(&self) -> u32 {
        match self.crowd.load(Ordering::Relaxed) {
            ..CROWD => UNSENT_LOW_WATERMARK,
            CROWD.. => CROWD_LOW_WATERMARK,
        }
    }

    /// Takes this many of the shared bytes, if that many are left.
    fn take(&self, bytes: u32) -> bool {
        let more = |given: u64| Some(given + u64::from(bytes)).filter(|&sum| sum <= SHARED_BYTES);
        self.given.try_update(Ordering::Relaxed, Ordering::Relaxed, more).is_ok()
    }
}

impl<'a> Share<'a> {
    /// That of a connection which inherited [`UNSENT_LOW_WATERMARK`] from its listener.
    pub(super) fn of(all: &'a Unsent) -> Share<'a> {
        Share { all, bytes: UNSENT_LOW_WATERMARK, given: 0, is_counted: false }
    }

    /// Counts the client among those that have not taken what was sent to them.
    pub(super) fn count(&mut self) {
        if !std::mem::replace(&mut self.is_counted, true) {
            self.all.crowd.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Lowers the limit in a crowd, unless the client was given shared bytes.
    pub(super) fn yield_to_crowd(&mut self, socket: impl AsFd) {
        if self.bytes == UNSENT_LOW_WATERMARK {
            let least = self.all.least();
            if least < self.bytes {
                self.set(socket, least);
            }
        }
    }

    /// How much to make ready for the client at a time, before the kernel says whether it takes it.
    pub(super) fn piece_bytes(&self) -> usize {
        self.all.least() as usize
    }

    /// Whether more could be given.
    pub(super) fn may_grow(&self) -> bool {
        self.bytes < MOST_BYTES
    }

    /// Raises the limit if the client took its bytes fast enough.
    pub(super) fn grow(&mut self, socket: impl AsFd, taken: u64, within: Duration) {
        let in_advance = u128::from(taken) * IN_ADVANCE.as_micros() / within.as_micros().max(1);
        let in_advance = u32::try_from(in_advance).unwrap_or(MOST_BYTES).min(MOST_BYTES);
        let step = self.bytes.saturating_mul(STEP).min(MOST_BYTES);
        if in_advance < step {
            return;
        }
        let most = if self.bytes > UNSENT_LOW_WATERMARK { in_advance } else { step };
        for bytes in [most, step] {
            let missing = bytes.saturating_sub(UNSENT_LOW_WATERMARK).saturating_sub(self.given);
            if missing == 0 || self.all.take(missing) {
                self.given += missing;
                self.set(socket, bytes);
                return;
            }
        }
    }

    /// Gives as little as possible to a client that was found to be slow. What the kernel holds
    /// already stays until the client takes it.
    pub(super) fn shrink(&mut self, socket: impl AsFd, held: u64) {
        if self.bytes > UNSENT_LOW_WATERMARK {
            self.set(socket, self.all.least());
        }
        let kept = u32::try_from(held).unwrap_or(MOST_BYTES).saturating_sub(UNSENT_LOW_WATERMARK);
        if kept < self.given {
            self.give_back(self.given - kept);
        }
    }

    /// Ends what was given: the client took all that was sent.
    pub(super) fn end(&mut self, socket: impl AsFd) {
        if self.bytes != UNSENT_LOW_WATERMARK {
            self.set(socket, UNSENT_LOW_WATERMARK);
        }
        self.release();
    }

    fn set(&mut self, socket: impl AsFd, bytes: u32) {
        self.bytes = bytes;
        let bytes = if bytes < MOST_BYTES { bytes } else { u32::MAX };
        // A system that cannot holds more.
        let _ = SockRef::from(&socket).set_tcp_notsent_lowat(bytes);
    }

    fn give_back(&mut self, bytes: u32) {
        self.given -= bytes;
        self.all.given.fetch_sub(u64::from(bytes), Ordering::Relaxed);
    }

    fn release(&mut self) {
        self.give_back(self.given);
        if std::mem::take(&mut self.is_counted) {
            self.all.crowd.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;
    use std::time::Duration;

    use socket2::SockRef;
    use tokio::net::{TcpListener, TcpStream};

    use super::{CROWD, MOST_BYTES, SHARED_BYTES, Share, UNSENT_LOW_WATERMARK, Unsent};

    const SECOND: Duration = Duration::from_secs(1);

    /// Runs this with a socket.
    fn with_socket(test: impl FnOnce(&TcpStream)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build();
        runtime.expect("a runtime").block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.expect("a listener");
            let address = listener.local_addr().expect("an address");
            test(&TcpStream::connect(address).await.expect("a socket"));
        });
    }

    fn set(socket: &TcpStream) -> u32 {
        SockRef::from(socket).tcp_notsent_lowat().expect("a value")
    }

    #[test]
    fn client_is_given_what_it_takes_in_half_a_second() {
        with_socket(|socket| {
            let all = Unsent::default();
            let mut share = Share::of(&all);
            share.grow(socket, 500_000, SECOND);
            assert_eq!(share.bytes, UNSENT_LOW_WATERMARK);
            for (rate, expected) in
                [(10_000_000, 256 << 10), (4_000_000, 2_000_000), (20_000_000, MOST_BYTES)]
            {
                assert!(share.may_grow());
                share.grow(socket, rate, SECOND);
                assert_eq!(share.bytes, expected);
            }
            assert_eq!((share.may_grow(), set(socket)), (false, u32::MAX));
            share.shrink(socket, 1 << 20);
            assert_eq!((share.bytes, set(socket)), (UNSENT_LOW_WATERMARK, UNSENT_LOW_WATERMARK));
            assert_eq!(
                all.given.load(Ordering::Relaxed),
                (1 << 20) - u64::from(UNSENT_LOW_WATERMARK)
            );
            share.end(socket);
            assert_eq!(all.given.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn clients_of_a_worker_share_what_is_given_beyond_the_least() {
        with_socket(|socket| {
            let all = Unsent::default();
            let mut shares: Vec<_> = (0..100).map(|_| Share::of(&all)).collect();
            for share in &mut shares {
                (0..3).for_each(|_| share.grow(socket, 10_000_000, SECOND));
            }
            let given: u64 = shares.iter().map(|share| u64::from(share.given)).sum();
            assert!((SHARED_BYTES - u64::from(MOST_BYTES)..=SHARED_BYTES).contains(&given));
            shares.clear();
            assert_eq!(all.given.load(Ordering::Relaxed), 0);
        });
    }

    #[test]
    fn in_a_crowd_everyone_is_given_less_until_it_is_gone() {
        with_socket(|socket| {
            let all = Unsent::default();
            let mut crowd: Vec<_> = (0..CROWD).map(|_| Share::of(&all)).collect();
            let mut late = Share::of(&all);
            for share in &mut crowd {
                late.yield_to_crowd(socket);
                assert_eq!(late.bytes, UNSENT_LOW_WATERMARK);
                (0..2).for_each(|_| share.count());
            }
            late.yield_to_crowd(socket);
            assert_eq!((late.bytes, set(socket)), (16 << 10, 16 << 10));
            late.grow(socket, 1 << 20, SECOND);
            assert_eq!((late.bytes, late.given), (UNSENT_LOW_WATERMARK, 0));
            crowd.clear();
            assert_eq!(all.least(), UNSENT_LOW_WATERMARK);
            late.end(socket);
            assert_eq!(set(socket), UNSENT_LOW_WATERMARK);
        });
    }
}
