//! Asks at a fixed rate, whatever the server does, and tells how long answers took.
//!
//!     paced PORT PATH REQUESTS_PER_SECOND CONNECTIONS SECONDS
//!
//! Each connection is a thread with a timetable. A latency counts from the moment when
//! the request was due, not from when it was sent: a server that stalls makes all
//! requests late that were due meanwhile, and each of them counts.

#[path = "../clients/tls/src/http1.rs"]
mod http1;

use std::io::{self, BufReader, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

/// Longer than any healthy answer takes.
const TIMEOUT: Duration = Duration::from_secs(10);

/// `prctl`: how late the kernel may wake this thread, in nanoseconds. Its default of
/// 50 µs is as long as an answer takes.
const PR_SET_TIMERSLACK: i32 = 29;

extern "C" {
    fn prctl(option: i32, ...) -> i32;
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    latencies: Vec<Duration>,
    bytes: u64,
    error_statuses: u64,
    error: Option<io::Error>,
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, port, path, rate, connections, seconds] = &arguments[..] else {
        eprintln!("usage: paced PORT PATH REQUESTS_PER_SECOND CONNECTIONS SECONDS");
        std::process::exit(2);
    };
    let number = |text: &String| {
        text.parse::<f64>().unwrap_or_else(|_| {
            eprintln!("not a number: {text}");
            std::process::exit(2);
        })
    };
    let port = number(port) as u16;
    let connections = number(connections) as u32;
    let interval = Duration::from_secs_f64(f64::from(connections) / number(rate));
    let length = Duration::from_secs_f64(number(seconds));
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n");

    let start = Instant::now() + Duration::from_millis(50);
    let threads: Vec<_> = (0..connections)
        .map(|index| {
            let request = request.clone();
            // The connections take turns, so that requests are spread evenly.
            let first = start + interval * index / connections;
            thread::spawn(move || {
                let mut seen = Seen::default();
                if let Err(error) = ask(port, &request, first, interval, start + length, &mut seen) {
                    seen.error = Some(error);
                }
                seen
            })
        })
        .collect();

    let mut total = Seen::default();
    let mut failed = 0;
    for thread in threads {
        let seen = thread.join().expect("a connection panicked");
        total.latencies.extend(seen.latencies);
        total.bytes += seen.bytes;
        total.error_statuses += seen.error_statuses;
        if let Some(error) = seen.error {
            eprintln!("a connection failed: {error}");
            failed += 1;
        }
    }
    let took = start.elapsed();
    total.latencies.sort_unstable();
    let percentile = |share: f64| {
        let index = (total.latencies.len() as f64 * share) as usize;
        total.latencies.get(index).map_or(0, |latency| latency.as_micros())
    };
    println!(
        "RESULT {{\"requests\": {}, \"bytes\": {}, \"microseconds\": {}, \
         \"p50_us\": {}, \"p99_us\": {}, \"p999_us\": {}, \"error_statuses\": {}, \
         \"errors\": {{\"connect\": 0, \"read\": {failed}, \"write\": 0, \"timeout\": 0}}}}",
        total.latencies.len(),
        total.bytes,
        took.as_micros(),
        percentile(0.5),
        percentile(0.99),
        percentile(0.999),
        total.error_statuses,
    );
}

fn ask(
    port: u16,
    request: &str,
    first: Instant,
    interval: Duration,
    end: Instant,
    seen: &mut Seen,
) -> io::Result<()> {
    // SAFETY: takes one number and no pointer.
    unsafe { prctl(PR_SET_TIMERSLACK, 1_u64) };
    let stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut reader = BufReader::new(&stream);
    let mut due = first;
    let mut body = Vec::new();
    while due < end {
        // Nothing when it is overdue: then the request goes out at once.
        thread::sleep(due.saturating_duration_since(Instant::now()));
        (&stream).write_all(request.as_bytes())?;
        let (status, bytes) = http1::read_response(&mut reader, &mut body)?;
        seen.latencies.push(due.elapsed());
        seen.bytes += bytes;
        seen.error_statuses += u64::from(status >= 400);
        due += interval;
    }
    Ok(())
}
