//! The access log: a JSON object a line, written by a thread of its own, so that no request waits
//! for a disk.

use super::{Record, json::Object, timestamp::Timestamp};
use crate::{
    connection::Connection,
    http::{Reason, Sent},
};
use lb_model::{AccessLog, LogField};
use std::{
    cell::RefCell,
    collections::BTreeSet,
    fs::{File, OpenOptions},
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// Bytes that a worker collects before it passes them on.
const BATCH_BYTES: usize = 32 * 1_024;

/// How long lines wait in a worker: then a batch is passed on by the next line, or by whoever
/// looks after [`AccessLogger::holds_lines`].
pub const BATCH_AGE: Duration = Duration::from_millis(200);

/// Batches that wait for the disk. Beyond it they are dropped, and the lines counted.
const BATCHES_MAX: usize = 256;

/// Where lines go: a thread that writes them, shared by all workers.
#[derive(Debug)]
pub struct LogWriter {
    batches: SyncSender<Vec<u8>>,
    reopens: Arc<AtomicBool>,
    dropped_lines: AtomicU64,
}

/// Writes the lines of one worker.
#[derive(Debug)]
pub struct AccessLogger {
    writer: Arc<LogWriter>,
    state: RefCell<Batch>,
}

#[derive(Debug, Default)]
struct Batch {
    lines: Vec<u8>,
    line_count: u64,
    begun: Option<Instant>,
    seen: u32,
    timestamp: Timestamp,
}

impl LogWriter {
    /// Opens the log's file (appending) and starts the thread.
    pub fn start(log: &AccessLog) -> io::Result<Arc<Self>> {
        let path = log.file.clone();
        let output = open(path.as_deref())?;
        let (batches, received) = sync_channel(BATCHES_MAX);
        let reopens = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&reopens);
        thread::Builder::new()
            .name("lb-access-log".to_owned())
            .spawn(move || write_all(path.as_deref(), output, &flag, &received))?;
        Ok(Arc::new(Self { batches, reopens, dropped_lines: AtomicU64::new(0) }))
    }

    /// Opens the file anew before the next batch, after somebody renamed it.
    pub fn reopen(&self) {
        self.reopens.store(true, Ordering::Relaxed);
    }

    /// Lines that were dropped because the disk was too slow.
    pub fn dropped_lines(&self) -> u64 {
        self.dropped_lines.load(Ordering::Relaxed)
    }

    fn pass_on(&self, lines: Vec<u8>, line_count: u64) {
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) =
            self.batches.try_send(lines)
        {
            self.dropped_lines.fetch_add(line_count, Ordering::Relaxed);
        }
    }
}

fn open(path: Option<&str>) -> io::Result<Box<dyn Write + Send>> {
    Ok(match path {
        None => Box::new(io::stdout()),
        Some(path) => Box::new(append(path)?),
    })
}

fn append(path: &str) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// Writes batches until all senders are gone.
fn write_all(
    path: Option<&str>,
    mut output: Box<dyn Write + Send>,
    reopens: &AtomicBool,
    batches: &Receiver<Vec<u8>>,
) {
    while let Ok(lines) = batches.recv() {
        if reopens.swap(false, Ordering::Relaxed) {
            match open(path) {
                Ok(opened) => output = opened,
                Err(error) => tracing::error!(%error, "the access log cannot be opened again"),
            }
        }
        if let Err(error) = output.write_all(&lines).and_then(|()| output.flush()) {
            tracing::error!(%error, "the access log cannot be written");
        }
    }
}

impl AccessLogger {
    /// For one worker.
    pub fn new(writer: Arc<LogWriter>) -> Self {
        Self { writer, state: RefCell::default() }
    }

    /// Logs an exchange that is over, if the log wants it.
    pub fn log(&self, log: &AccessLog, connection: &Connection, record: &Record, sent: Sent) {
        if record.status < log.status_min || !is_of(record, &log.listeners) {
            return;
        }
        let mut batch = self.state.borrow_mut();
        batch.seen = batch.seen.wrapping_add(1);
        if !batch.seen.is_multiple_of(log.one_in.max(1)) {
            return;
        }
        let now = Instant::now();
        let fields = if log.fields.is_empty() { ALL } else { &log.fields };
        let Batch { lines, timestamp, .. } = &mut *batch;
        let line = Line { connection, record, sent, now };
        let mut object = Object::begin(lines);
        for field in fields {
            line.write(field, &mut object, timestamp);
        }
        object.end();
        lines.push(b'\n');
        batch.line_count += 1;
        let begun = *batch.begun.get_or_insert(now);
        if batch.lines.len() >= BATCH_BYTES || now.saturating_duration_since(begun) >= BATCH_AGE {
            drop(batch);
            self.flush();
        }
    }

    /// Whether lines go to this writer.
    pub fn writes_to(&self, writer: Option<&Arc<LogWriter>>) -> bool {
        writer.is_some_and(|it| Arc::ptr_eq(it, &self.writer))
    }

    /// Whether lines wait to be passed on.
    pub fn holds_lines(&self) -> bool {
        self.state.borrow().line_count > 0
    }

    /// Passes on what was collected; called now and then, and at the end.
    pub fn flush(&self) {
        let mut batch = self.state.borrow_mut();
        if batch.line_count > 0 {
            let lines = std::mem::replace(&mut batch.lines, Vec::with_capacity(BATCH_BYTES));
            self.writer.pass_on(lines, batch.line_count);
            batch.line_count = 0;
        }
        batch.begun = None;
    }
}

impl Drop for AccessLogger {
    fn drop(&mut self) {
        self.flush();
    }
}

fn is_of(record: &Record, listeners: &BTreeSet<String>) -> bool {
    listeners.is_empty() || record.listener.as_deref().is_some_and(|it| listeners.contains(it))
}

/// The fields of a log that names none.
static ALL: &[LogField] = &[
    LogField::Time,
    LogField::Listener,
    LogField::Route,
    LogField::Upstream,
    LogField::Endpoint,
    LogField::ClientAddress,
    LogField::PeerAddress,
    LogField::Method,
    LogField::Scheme,
    LogField::Host,
    LogField::Path,
    LogField::Protocol,
    LogField::Status,
    LogField::Reason,
    LogField::RequestBytes,
    LogField::ResponseBytes,
    LogField::DurationMs,
    LogField::BackendMs,
    LogField::Tries,
    LogField::RequestId,
    LogField::TraceId,
    LogField::Tls,
    LogField::ServerName,
    LogField::Referer,
    LogField::UserAgent,
];

struct Line<'a> {
    connection: &'a Connection,
    record: &'a Record,
    sent: Sent,
    now: Instant,
}

impl Line<'_> {
    /// Writes a field; one without a value is left out.
    fn write(&self, field: &LogField, object: &mut Object<'_>, timestamp: &mut Timestamp) {
        let Self { connection, record, sent, now } = self;
        let tls = connection.tls.as_ref();
        match field {
            LogField::Time => {
                let at = SystemTime::now()
                    .checked_sub(now.saturating_duration_since(record.started))
                    .unwrap_or(SystemTime::UNIX_EPOCH);
                let line = object.member("time");
                line.push(b'"');
                timestamp.write(at, line);
                line.push(b'"');
            }
            LogField::Listener => text(object, "listener", record.listener.as_deref()),
            LogField::Route => text(object, "route", record.route.as_deref()),
            LogField::Upstream => text(object, "upstream", record.upstream.as_deref()),
            LogField::Endpoint => {
                text(object, "endpoint", record.endpoint.map(|it| it.to_string()).as_deref());
            }
            LogField::ClientAddress => {
                object.text("client_address", &record.client.ip().to_string());
            }
            LogField::PeerAddress => object.text("peer_address", &connection.peer.to_string()),
            LogField::Method => object.text("method", record.method.as_str()),
            LogField::Scheme => object.text("scheme", record.scheme.name()),
            LogField::Host => object.text("host", &record.authority),
            LogField::Path => object.text("path", &record.target),
            LogField::Protocol => object.text("protocol", record.version.name()),
            LogField::Status => object.number("status", record.status.into()),
            LogField::Reason => text(object, "reason", record.reason.map(Reason::name)),
            LogField::RequestBytes => object.number("request_bytes", sent.request_bytes),
            LogField::ResponseBytes => object.number("response_bytes", sent.response_bytes),
            LogField::DurationMs => {
                let taken = now.saturating_duration_since(record.started);
                object.milliseconds("duration_ms", taken.as_micros());
            }
            LogField::BackendMs => {
                if let Some(answered) = record.answered {
                    let taken = answered.saturating_duration_since(record.started);
                    object.milliseconds("backend_ms", taken.as_micros());
                }
            }
            LogField::Tries => object.number("tries", record.tries.into()),
            LogField::RequestId => text(object, "request_id", record.request_id.as_deref()),
            LogField::TraceId => text(object, "trace_id", record.trace_id.as_deref()),
            LogField::Tls => {
                if let Some(tls) = tls {
                    object.text("tls", &format!("{} {}", tls.version, tls.cipher_suite));
                }
            }
            LogField::ServerName => {
                text(object, "server_name", tls.and_then(|it| it.server_name.as_deref()));
            }
            LogField::Referer => text(object, "referer", self.field("referer")),
            LogField::UserAgent => text(object, "user_agent", self.field("user-agent")),
            LogField::RequestHeader(name) => text(object, name, self.field(name)),
            LogField::ResponseHeader(name) => {
                text(object, &format!("response_{name}"), self.field(&format!("response_{name}")));
            }
        }
    }

    fn field(&self, name: &str) -> Option<&str> {
        self.record.fields.iter().find(|(it, _)| **it == *name).map(|(_, value)| &**value)
    }
}

fn text(object: &mut Object<'_>, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        object.text(name, value);
    }
}

#[cfg(test)]
mod tests;
