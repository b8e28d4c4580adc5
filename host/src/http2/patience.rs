//! How long a stream may wait for its client to make room for content, and when that is not its
//! client's fault.

use std::time::Duration;

use tokio::time::Instant;

/// Looks at what a stream waits for, in the time that it has.
const LOOKS: u32 = 4;

/// What a connection sends, as far as it tells why one of its streams waits.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flow {
    /// Content that is on its way: all streams wait until the client has taken some. That it does
    /// is a matter of the connection.
    pub(crate) is_sending: bool,
    /// Streams that have room and do not use it yet, as they wait for a disk or for their turn. The
    /// room of the connection may be theirs.
    pub(crate) has_holders: bool,
    /// Whether there is no room on the connection, whatever the stream.
    pub(crate) is_window_full: bool,
    /// Bytes of content that were sent since the connection began.
    pub(crate) sent: u64,
}

/// The patience with a stream that waits for room.
#[derive(Debug)]
pub(crate) struct Patience {
    stall: Duration,
    /// Since when its client could make room and did not.
    since: Instant,
    /// What had been sent at the last look.
    sent: u64,
    next_look: Instant,
}

impl Patience {
    /// With a stream that begins to wait now.
    pub(crate) fn new(stall: Duration, flow: Flow, now: Instant) -> Patience {
        Patience { stall, since: now, sent: flow.sent, next_look: now + stall / LOOKS }
    }

    /// When to look next.
    pub(crate) fn next_look(&self) -> Instant {
        self.next_look
    }

    /// Whether it has come to its end.
    ///
    /// A stream is not blamed for the room that others used before it. If none of them uses any,
    /// the client makes no room for the connection, and each is blamed.
    pub(crate) fn look(&mut self, flow: Flow, now: Instant) -> bool {
        let others_come_first = flow.is_window_full && flow.sent != self.sent;
        if flow.is_sending || flow.has_holders || others_come_first {
            self.since = now;
        }
        self.sent = flow.sent;
        self.next_look = (now + self.stall / LOOKS).min(self.since + self.stall);
        now >= self.since + self.stall
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::Instant;

    use super::{Flow, Patience};

    const STALL: Duration = Duration::from_secs(30);
    const IDLE: Flow =
        Flow { is_sending: false, has_holders: false, is_window_full: false, sent: 0 };

    /// The second in which a stream is given up, if the connection is so at each second; up to an
    /// hour.
    fn given_up(flow: impl Fn(u64) -> Flow) -> Option<u64> {
        let began = Instant::now();
        let mut patience = Patience::new(STALL, flow(0), began);
        for _ in 0..10_000 {
            let now = patience.next_look();
            let second = now.duration_since(began).as_secs();
            if second >= 3600 {
                return None;
            }
            if patience.look(flow(second), now) {
                return Some(second);
            }
        }
        panic!("it looks too often");
    }

    #[test]
    fn stream_without_a_window_is_given_up_after_stall() {
        assert_eq!(given_up(|_| IDLE), Some(30));
        // Though others go on, as there is room for them.
        assert_eq!(given_up(|second| Flow { sent: second, ..IDLE }), Some(30));
    }

    #[test]
    fn stream_that_waits_for_the_line_is_not_blamed() {
        assert_eq!(given_up(|_| Flow { is_sending: true, ..IDLE }), None);
        let for_a_minute = |second| Flow { is_sending: second < 60, ..IDLE };
        assert!(given_up(for_a_minute).is_some_and(|second| (82..=90).contains(&second)));
    }

    #[test]
    fn stream_that_waits_as_others_hold_the_room_is_not_blamed() {
        assert_eq!(given_up(|_| Flow { has_holders: true, ..IDLE }), None);
    }

    #[test]
    fn stream_behind_others_on_a_full_connection_is_not_blamed() {
        let full = Flow { is_window_full: true, ..IDLE };
        assert_eq!(given_up(|second| Flow { sent: second, ..full }), None);
        // Nobody gets anything.
        assert_eq!(given_up(|_| full), Some(30));
        let for_a_minute = |second: u64| Flow { sent: second.min(60), ..full };
        assert!(given_up(for_a_minute).is_some_and(|second| (90..=98).contains(&second)));
    }
}
