//! What innkeeper and systemd tell each other (sd_notify(3), sd_listen_fds(3)). Without
//! systemd all of it does nothing.

use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sd_notify::NotifyState;

/// Takes the sockets that listen already, if there are any.
pub fn inherited_listeners() -> anyhow::Result<Vec<TcpListener>> {
    let mut descriptors = listenfd::ListenFd::from_env();
    (0..descriptors.len())
        .map(|number| {
            descriptors
                .take_tcp_listener(number)
                .with_context(|| format!("the inherited socket {number} is not one for TCP"))?
                .ok_or_else(|| anyhow!("the inherited socket {number} is gone"))
        })
        .collect()
}

/// Tells that requests are served.
pub fn ready(told: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(told)]);
}

/// Tells that what was configured is read again. [`ready`] must follow.
pub fn reloading() {
    let Ok(now) = NotifyState::monotonic_usec_now() else { return };
    notify(&[NotifyState::Reloading, now]);
}

/// Tells that the server is about to stop.
pub fn stopping() {
    notify(&[NotifyState::Stopping]);
}

/// Gives a sign of life.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// How often signs of life are wanted: twice in the time after which the server would be
/// killed. `None` if they are not.
pub fn watchdog() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2)
}

fn notify(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot tell the service manager: {error}");
    }
}
