//! What every wire needs of a socket: deadlines, transfer of files, the order of sending.
//!
//! - `address`: where a server listens.
//! - [`endpoint`]: a listener on one address, as the administration has; `listener`: sockets that listen, one for each worker.
//! - `accepted`: a connection, before and after its wire is chosen; [`limits`]: how long each
//!   of its waits may be.
//! - `socket`: the socket of a connection, `watched` by the runtime once it has to be; `stream`: with a limit on every wait; `alarm`: its one timer.
//! - `session`: TLS on a connection; `ledger`: which content is in which bytes of its wire.
//! - `eviction`: a place for a newcomer where all are taken.
//! - `transfer`: a part of a file on its way to a socket.
//! - [`send_scheduler`]: the order in which connections send; `unsent`: how much the kernel
//!   holds for each; `progress`: what a client takes of what is sent to it; `send_queue`: what
//!   the kernel knows of that.
//! - `socket_file`: a Unix socket's file; `acceptor`: accepts from either kind.
//! - `defer_accept`: connections are accepted when their client has sent something.
//! - `proxy_protocol`: what a proxy sends first.
//! - `stop`: how a connection learns that the server is about to stop.

pub(crate) mod accepted;
pub(crate) mod acceptor;
mod address;
mod alarm;
pub(crate) mod defer_accept;
pub mod endpoint;
pub(crate) mod eviction;
pub(crate) mod ledger;
pub mod limits;
pub(crate) mod listener;
pub(crate) mod progress;
pub(crate) mod proxy_protocol;
pub(crate) mod send_queue;
pub mod send_scheduler;
pub(crate) mod session;
pub(crate) mod socket;
pub(crate) mod socket_file;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod transfer;
pub(crate) mod unsent;
mod watched;

pub use address::{Address, ListenAddress};
pub use limits::Limits;
pub use send_scheduler::SendScheduler;
pub use socket_file::FileAccess;
