//! The sites of a server are put together, at its start and when its configuration changes.
//!
//! - [`logs`]: their access logs, which several may share. [`open`]: what a site opens before the
//!   sandbox is entered. [`assemble`]: what is made of it, and what serves. [`reload`]:
//!   others take its place; [`mod@read_again`]: what stays is read again; [`retry`]: a broken one is tried again.

pub(in crate::commands) mod assemble;
pub(in crate::commands) mod logs;
pub(in crate::commands) mod open;
pub(in crate::commands) mod read_again;
pub(in crate::commands) mod reload;
pub(in crate::commands) mod retry;
