//! Lists and watches, as bytes from the API server.

use super::change::{Object, Read};
use futures_util::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt};
use kube::{
    Client,
    api::{ListParams, WatchParams},
    core::{Request, Status},
};
use serde::Deserialize;
use serde_json::Value;
use std::{io, pin::Pin, time::Duration};
use tokio::time::timeout;

/// Objects of a page of a list.
const PAGE: u32 = 500;

/// Bytes of a page: etcd takes objects of 1.5 MiB, few are.
const PAGE_BYTES_MAX: u64 = 256 << 20;

/// Bytes of an event: an object (etcd takes 1.5 MiB) in JSON.
const LINE_BYTES_MAX: u64 = 16 << 20;

/// How long a page may take.
const PAGE_TIMEOUT: Duration = Duration::from_mins(1);

/// How long the answer to a watch may take to begin.
const BEGIN_TIMEOUT: Duration = Duration::from_secs(15);

/// Seconds that a watch lasts, at least and at most: then it is begun anew from where it was. That
/// bounds how long a connection that is dead without anybody knowing goes unnoticed.
const WATCH_SECONDS: (u32, u32) = (120, 180);

/// Silence beyond the end of a watch, after which its connection counts as dead.
const MARGIN: Duration = Duration::from_secs(5);

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// What is asked for is too old (410): a new list is needed.
    #[error("the API server no longer has what changed since then")]
    Gone,
    /// The API server refuses.
    #[error("{message}")]
    Refused {
        /// HTTP status.
        code: u16,
        /// What it says.
        message: String,
    },
    /// It cannot be reached, or says what nobody understands.
    #[error("{0}")]
    Broken(String),
}

impl Failure {
    /// The HTTP status of a refusal.
    pub(super) const fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }

    fn of(status: &Status) -> Self {
        if status.code == 410 || status.reason == "Expired" || status.reason == "Gone" {
            return Self::Gone;
        }
        let message = if status.message.is_empty() { &status.reason } else { &status.message };
        Self::Refused { code: status.code, message: message.clone() }
    }

    #[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
    fn broken(why: impl ToString) -> Self {
        Self::Broken(why.to_string())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::of(&status),
            kube::Error::Service(error) => Self::Broken(chain(&*error)),
            error => Self::Broken(chain(&error)),
        }
    }
}

/// An error with what caused it.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let cause = error.to_string();
        if !text.ends_with(&cause) {
            text = format!("{text}: {cause}");
        }
        source = error.source();
    }
    text
}

/// What is asked for.
pub(super) struct Asked {
    pub(super) path: String,
    /// Only the object of this name.
    pub(super) name: Option<String>,
}

impl Asked {
    fn fields(&self) -> Option<String> {
        self.name.as_ref().map(|name| format!("metadata.name={name}"))
    }
}

/// A page of a list.
#[derive(Deserialize)]
#[serde(bound = "T: Object")]
struct Page<T: Object> {
    metadata: PageMeta,
    #[serde(default)]
    items: Option<Vec<Read<T>>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageMeta {
    #[serde(default)]
    resource_version: String,
    #[serde(default, rename = "continue")]
    token: Option<String>,
}

/// Everything that is there, and the version to watch from.
pub(super) async fn list<T: Object>(
    client: &Client,
    asked: &Asked,
) -> Result<(Vec<Read<T>>, String), Failure> {
    let mut objects = Vec::new();
    let mut params =
        ListParams { limit: Some(PAGE), field_selector: asked.fields(), ..ListParams::default() };
    loop {
        let page = timeout(PAGE_TIMEOUT, page::<T>(client, asked, &params)).await;
        let page = page.map_err(|_| Failure::broken("the list did not come in time"))??;
        objects.extend(page.items.into_iter().flatten());
        params.continue_token = page.metadata.token.filter(|it| !it.is_empty());
        if params.continue_token.is_none() {
            return Ok((objects, page.metadata.resource_version));
        }
    }
}

async fn page<T: Object>(
    client: &Client,
    asked: &Asked,
    params: &ListParams,
) -> Result<Page<T>, Failure> {
    let request = Request::new(&asked.path).list(params).map_err(Failure::broken)?;
    let body = client.request_stream(request).await?;
    let mut bytes = Vec::new();
    let read = std::pin::pin!(body.take(PAGE_BYTES_MAX)).read_to_end(&mut bytes).await;
    read.map_err(Failure::broken)?;
    // What a server says is not told on: it may be a Secret.
    serde_json::from_slice(&bytes).map_err(|_| Failure::broken("the list cannot be read"))
}

/// A watch that began.
pub(super) struct Events {
    body: Pin<Box<dyn AsyncBufRead + Send>>,
    line: Vec<u8>,
    idle_max: Duration,
}

/// Something that happened.
pub(super) enum Event<T> {
    /// An object is there.
    Put(Read<T>, String),
    /// An object is gone.
    Remove(Read<T>, String),
    /// Nothing happened until here; `true` = all that was there has been told.
    Bookmark(String, bool),
}

/// Begins to watch from a version on; without one, what is there is told first (streaming list).
pub(super) async fn watch(
    client: &Client,
    asked: &Asked,
    version: Option<&str>,
    rng: &mut fastrand::Rng,
) -> Result<Events, Failure> {
    let seconds = rng.u32(WATCH_SECONDS.0..=WATCH_SECONDS.1);
    let params = WatchParams {
        field_selector: asked.fields(),
        timeout: Some(seconds),
        bookmarks: true,
        send_initial_events: version.is_none(),
        ..WatchParams::default()
    };
    let request = Request::new(&asked.path).watch(&params, version.unwrap_or_default());
    let request = request.map_err(Failure::broken)?;
    let begun = timeout(BEGIN_TIMEOUT, client.request_stream(request)).await;
    let body = begun.map_err(|_| Failure::broken("the watch did not begin in time"))??;
    let idle_max = Duration::from_secs(seconds.into()) + MARGIN;
    Ok(Events { body: Box::pin(body), line: Vec::new(), idle_max })
}

/// A line of a watch.
#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    object: Value,
}

impl Events {
    /// The next event; `None` = the watch ended, as it does from time to time.
    pub(super) async fn next<T: Object>(&mut self) -> Result<Option<Event<T>>, Failure> {
        loop {
            self.line.clear();
            let mut limited = self.body.as_mut().take(LINE_BYTES_MAX);
            let read = timeout(self.idle_max, limited.read_until(b'\n', &mut self.line)).await;
            match read {
                // Cut off in the middle, as a server that goes down does.
                Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                Ok(Err(error)) => return Err(Failure::Broken(chain(&error))),
                Ok(Ok(0)) => return Ok(None),
                Ok(Ok(_)) => {}
                Err(_) => return Err(Failure::broken("nothing was heard for too long")),
            }
            if self.line.last() != Some(&b'\n') && self.line.len() as u64 >= LINE_BYTES_MAX {
                return Err(Failure::broken("an event is too large"));
            }
            if self.line.trim_ascii().is_empty() {
                continue;
            }
            let line = serde_json::from_slice(&self.line);
            return match line {
                Ok(line) => event(line),
                Err(error) if error.is_eof() => Ok(None),
                Err(_) => Err(Failure::broken("an event cannot be read")),
            };
        }
    }
}

fn event<T: Object>(line: Line) -> Result<Option<Event<T>>, Failure> {
    let Line { kind, object } = line;
    if kind == "ERROR" {
        let status: Status = serde_json::from_value(object).unwrap_or_default();
        return Err(Failure::of(&status));
    }
    let text = |path: &str| object.pointer(path).and_then(Value::as_str);
    let version = text("/metadata/resourceVersion").unwrap_or_default().to_owned();
    Ok(Some(match kind.as_str() {
        "ADDED" | "MODIFIED" => Event::Put(Read::of(object), version),
        "DELETED" => Event::Remove(Read::of(object), version),
        "BOOKMARK" => {
            let is_end = text("/metadata/annotations/k8s.io~1initial-events-end") == Some("true");
            Event::Bookmark(version, is_end)
        }
        kind => return Err(Failure::Broken(format!("an event of type {kind}"))),
    }))
}
