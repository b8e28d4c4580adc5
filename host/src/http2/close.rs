//! The end of a connection, in the way that lets the client read the last response.

use tokio::time::Instant;

use super::connection::Connection;
use crate::transport::progress::{FIRST_LOOK_IN_HASTE, Look};
use crate::transport::stream::Read;

/// Reads, of 16 KiB at most, of what a client sends meanwhile. What honest ones had on its way is
/// no more: the window of the connection bounds their content, and few have megabytes of fields.
const MOST_READS: u32 = 256;

/// The same of a client that sent too much that is no request: what it had on its way when it was
/// told so, and not what it goes on with.
const MOST_READS_OF_A_FLOOD: u32 = 16;

impl Connection<'_, '_> {
    /// Closes our half, and reads and throws away what the client still sends until it closes
    /// its half too. Otherwise the kernel would answer it with a reset, which destroys what is not
    /// yet read. The connection keeps its place until then, or until the client takes nothing for
    /// too long.
    pub(super) async fn close(&mut self) {
        if self.shared.wire().stream.end().await.is_err() {
            return;
        }
        let limits = self.shared.limits;
        let drain = if self.stop.has_begun() { limits.drain_at_stop } else { limits.drain_silence };
        let mut now = Instant::now();
        let drained_by = now + drain;
        let (mut pause, mut reads) = (FIRST_LOOK_IN_HASTE, 0);
        let is_flooded = self.shared.wire().is_flooded;
        let most_reads = if is_flooded { MOST_READS_OF_A_FLOOD } else { MOST_READS };
        loop {
            let look = self.shared.look();
            let next_look = self.shared.wire().stream.next_look(now, &mut pause);
            match look {
                Look::Stalled => return self.shared.log_stall(),
                Look::Empty if now >= drained_by => return,
                Look::Empty | Look::Left => {}
            }
            let until = if now < drained_by { next_look.min(drained_by) } else { next_look };
            match self.shared.wire().stream.discard(until).await {
                Read::Eof | Read::Truncated | Read::Disconnected => return,
                Read::Data if reads == most_reads => return,
                // A client that sends much goes behind those that ask.
                Read::Data => {
                    reads += 1;
                    self.shared.wire().stream.slot().await;
                }
                _ => {}
            }
            now = Instant::now();
        }
    }
}
