//! Makes lines of the events of `tracing`.

use std::cell::Cell;
use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

use super::context;
use super::line::{Line, Style, Value};

/// Bytes that a thread keeps for its next line. Most lines are shorter.
const KEPT_BYTES: usize = 4 << 10;

thread_local! {
    /// Room for a line.
    static ROOM: Cell<String> = const { Cell::new(String::new()) };
}

/// Gives each event as a line to `write`.
pub(super) struct Lines<W> {
    pub(super) style: Style,
    pub(super) write: W,
}

impl<S: Subscriber, W: Fn(&str) + 'static> Layer<S> for Lines<W> {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        // A thread that ends has no room any more; an event within an event finds none.
        let mut room = ROOM.try_with(Cell::take).unwrap_or_default();
        room.clear();
        let mut line = Line::begin(&mut room, self.style, *event.metadata().level());
        event.record(&mut Fields(&mut line));
        let fields = event.metadata().fields();
        context::write(&mut line, |name| fields.field(name).is_some());
        line.end();
        (self.write)(&room);
        if room.capacity() <= KEPT_BYTES {
            let _ = ROOM.try_with(|kept| kept.set(room));
        }
    }
}

struct Fields<'a, 'b>(&'a mut Line<'b>);

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        let arguments = format_args!("{value}");
        // JSON has no infinities.
        let value = if value.is_finite() { Value::Literal } else { Value::Text };
        self.0.field(field.name(), value(arguments));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.field(field.name(), Value::Literal(format_args!("{value}")));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.field(field.name(), Value::Literal(format_args!("{value}")));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.0.field(field.name(), Value::Literal(format_args!("{value}")));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.field(field.name(), Value::Literal(format_args!("{value}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => self.0.message(format_args!("{value}")),
            name => self.0.field(name, Value::Text(format_args!("{value}"))),
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        match field.name() {
            "message" => self.0.message(format_args!("{value:?}")),
            name => self.0.field(name, Value::Text(format_args!("{value:?}"))),
        }
    }
}
