//! The connection and the request that a task works for, and the site where there are several. Events
//! of the task carry them: `client`, `worker`, `request` and `site`; those of a thread that works for
//! a site carry that.
//!
//! Spans of `tracing` would cost an allocation and the formatting of their fields for each
//! request, whether there is an event or not. This costs a few nanoseconds for each poll of a
//! connection's task, and a copy of the request line.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::IpAddr;
use std::sync::Arc;

use super::line::{Line, Value};
use crate::text::{Bytes, Client};

/// Bytes of a request line that are kept. Most are shorter.
const LINE_BYTES: usize = 128;

tokio::task_local! {
    /// Boxed, as it is swapped with each poll.
    static CONTEXT: Box<Context>;
}

thread_local! {
    /// The site that a thread works for.
    static SITE: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
}

struct Context {
    client: Cell<IpAddr>,
    worker: usize,
    site: RefCell<Option<Arc<str>>>,
    request: RefCell<RequestLine>,
}

/// The beginning of a request line.
#[derive(Clone)]
struct RequestLine {
    bytes: [u8; LINE_BYTES],
    /// The length of the line, which may be more than was kept.
    length: usize,
}

/// Runs the task of a connection.
pub fn in_connection<F: Future>(
    client: IpAddr,
    worker: usize,
    task: F,
) -> impl Future<Output = F::Output> {
    let request = RefCell::new(RequestLine { bytes: [0; LINE_BYTES], length: 0 });
    let (client, site) = (Cell::new(client), RefCell::default());
    CONTEXT.scope(Box::new(Context { client, worker, site, request }), task)
}

/// Does work for one of several sites: on this thread, and none of a connection.
pub fn for_site<T>(site: Option<Arc<str>>, work: impl FnOnce() -> T) -> T {
    /// Ends it, also where the work panics.
    struct Restore(Option<Arc<str>>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SITE.set(self.0.take());
        }
    }
    let _restore = Restore(SITE.replace(site));
    work()
}

/// The task works for this request, of this site where there are several, until another one is set.
/// Outside of a connection this does nothing.
pub fn set_request(client: IpAddr, line: &[u8], site: Option<&Arc<str>>) {
    // Where there is no connection nothing is to be set.
    let _ = CONTEXT.try_with(|context| {
        context.client.set(client);
        context.site.replace(site.cloned());
        let mut request = context.request.borrow_mut();
        let kept = line.len().min(LINE_BYTES);
        request.bytes[..kept].copy_from_slice(&line[..kept]);
        request.length = line.len();
    });
}

/// What a task works for, kept while it works for another request of the same connection.
pub struct Kept {
    client: IpAddr,
    site: Option<Arc<str>>,
    request: RequestLine,
}

/// Keeps what the task works for. `None` outside of a connection.
pub fn keep() -> Option<Box<Kept>> {
    CONTEXT
        .try_with(|context| {
            let (client, request) = (context.client.get(), context.request.borrow().clone());
            Box::new(Kept { client, site: context.site.borrow().clone(), request })
        })
        .ok()
}

/// The task goes on to work for that.
pub fn go_on(kept: &Kept) {
    // Outside of a connection nothing was kept.
    let _ = CONTEXT.try_with(|context| {
        context.client.set(kept.client);
        context.site.borrow_mut().clone_from(&kept.site);
        context.request.borrow_mut().clone_from(&kept.request);
    });
}

/// A proxy names this client for the request.
pub fn set_client(client: IpAddr) {
    // Where there is no connection nothing is to be set.
    let _ = CONTEXT.try_with(|context| context.client.set(client));
}

/// Writes the fields that the event itself does not have.
pub(super) fn write(line: &mut Line<'_>, has: impl Fn(&str) -> bool) {
    if !has("site") {
        // A connection is served by a thread that works for no site.
        let of_task = CONTEXT.try_with(|context| context.site.borrow().clone()).ok().flatten();
        if let Some(site) = of_task.or_else(|| SITE.with_borrow(Clone::clone)) {
            line.field("site", Value::Text(format_args!("{site}")));
        }
    }
    // Events outside of a connection have none of them.
    let _ = CONTEXT.try_with(|context| {
        if !has("client") {
            line.field("client", Value::Text(format_args!("{}", Client(context.client.get()))));
        }
        if !has("worker") {
            line.field("worker", Value::Literal(format_args!("{}", context.worker)));
        }
        let request = context.request.borrow();
        if request.length > 0 && !has("request") {
            let kept = Bytes(&request.bytes[..request.length.min(LINE_BYTES)]);
            let rest = if request.length > LINE_BYTES { "…" } else { "" };
            line.field("request", Value::Text(format_args!("{kept}{rest}")));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::{LINE_BYTES, for_site, in_connection, set_client, set_request};
    use crate::diagnostics::{Form, captured};
    use std::net::{IpAddr, Ipv4Addr};

    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn run<F: Future<Output = ()>>(task: F) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(task);
    }

    #[test]
    fn event_in_a_connection_carries_client_worker_and_request() {
        let other = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        let text = captured(Form::Json, || {
            tracing::warn!("before");
            run(in_connection(CLIENT, 1, async {
                tracing::warn!("idle");
                set_request(CLIENT, b"GET /\xff\" HTTP/1.1", Some(&"a.example".into()));
                set_client(other);
                tracing::warn!("busy");
                // Also where it waited.
                tokio::task::yield_now().await;
                tracing::warn!(request = "another", worker = 7, "own fields");
            }));
            tracing::warn!("after");
        });
        let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
        let lines: Vec<_> = text.lines().map(read).collect();
        let field =
            |name: &str| -> Vec<_> { lines.iter().map(|line| line[name].clone()).collect() };
        let null = serde_json::Value::Null;
        let client = |text: &str| serde_json::Value::from(text);
        let all = [&null, &client("127.0.0.1"), &client("192.0.2.1"), &client("192.0.2.1"), &null];
        assert_eq!(field("client").iter().collect::<Vec<_>>(), all);
        assert_eq!(field("worker")[1..4], [1, 1, 7]);
        let site = client("a.example");
        assert_eq!(field("site"), [&null, &null, &site, &site, &null].map(Clone::clone));
        assert_eq!(
            field("request")[1..4],
            [null, client("GET /\\xff\" HTTP/1.1"), client("another")]
        );
        assert!(text.lines().all(|line| line.matches("\"worker\"").count() < 2), "{text}");
    }

    #[test]
    fn event_of_work_for_a_site_carries_it() {
        let text = captured(Form::Text, || {
            for_site(Some("a.example".into()), || {
                tracing::warn!("one");
                for_site(Some("b.example".into()), || tracing::warn!("other"));
                for_site(None, || tracing::warn!(site = "own", "own"));
                let panicked = std::panic::catch_unwind(|| {
                    for_site(Some("c.example".into()), || panic!("on purpose"));
                });
                assert!(panicked.is_err());
                tracing::warn!("last");
            });
            tracing::warn!("none");
        });
        let ends =
            ["one site=a.example", "other site=b.example", "own site=own", "last site=a.example"];
        for (line, end) in text.lines().zip(ends.into_iter().chain(["none"])) {
            assert!(line.ends_with(end), "{text}");
        }
    }

    #[test]
    fn long_request_line_is_cut() {
        let text = captured(Form::Text, || {
            run(in_connection(CLIENT, 0, async {
                set_request(CLIENT, &[b'a'; LINE_BYTES + 1], None);
                tracing::warn!("it");
            }));
        });
        assert!(text.ends_with(&format!(" request={}…\n", "a".repeat(LINE_BYTES))), "{text}");
    }
}
