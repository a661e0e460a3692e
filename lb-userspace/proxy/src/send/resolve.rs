//! Endpoints in DNS: every address of a name is an endpoint. Never on a request's path.

use super::Upstream;
use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use hickory_resolver::{
    TokioResolver,
    config::{LookupIpStrategy, ResolverConfig, ResolverOpts},
    net::{NetError, runtime::TokioRuntimeProvider},
    system_conf::parse_resolv_conf,
};
use std::{
    collections::HashMap,
    fmt::Display,
    fs, io,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{self, Duration},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};

/// Says which name servers to ask.
const CONFIGURATION: &str = "/etc/resolv.conf";

/// A name is not asked for more often than this, whatever its TTL says.
const TTL_MIN: Duration = Duration::from_secs(1);

/// A name is asked for again after this, whatever its TTL says.
const TTL_MAX: Duration = Duration::from_mins(5);

/// A name that could not be resolved is asked for again after this.
const FAILURE_WAIT: Duration = Duration::from_secs(5);

/// A question is given up after this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Questions under way at once.
const QUESTIONS_MAX: usize = 16;

/// Addresses of one name; more are left out.
const ADDRESSES_MAX: usize = 256;

/// Knows the addresses of names.
pub trait Resolve: Send + Sync {
    /// The addresses of a name; `None` if they cannot be told now.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Answer>>;
}

/// Addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The addresses.
    pub addresses: Vec<IpAddr>,
    /// How long that holds.
    pub ttl: Duration,
}

/// The names of all upstreams' endpoints.
pub struct Names {
    resolver: Box<dyn Resolve>,
    known: Mutex<HashMap<String, Known>>,
    changed: Notify,
}

/// What is known about a name.
struct Known {
    followers: Vec<Weak<Upstream>>,
    /// The last good answer.
    addresses: Option<Vec<IpAddr>>,
    due: Instant,
    is_asked: bool,
}

/// The name servers of the system's configuration.
pub struct SystemResolver(TokioResolver);

impl Names {
    /// Without names yet.
    pub fn new(resolver: impl Resolve + 'static) -> Arc<Self> {
        Arc::new(Self {
            resolver: Box::new(resolver),
            known: Mutex::default(),
            changed: Notify::new(),
        })
    }

    /// Keeps the addresses of an upstream's names up to date as long as the upstream is there.
    /// Call it whenever an upstream was compiled or its endpoints changed.
    pub fn follow(&self, upstream: &Arc<Upstream>) {
        let mut known = self.lock();
        for name in upstream.names() {
            let entry = known.entry(name.clone()).or_insert_with(Known::new);
            if let Some(addresses) = &entry.addresses {
                upstream.set_addresses(&name, addresses);
            }
            entry.followers.retain(|it| it.strong_count() > 0);
            if !entry.followers.iter().any(|it| it.as_ptr() == Arc::as_ptr(upstream)) {
                entry.followers.push(Arc::downgrade(upstream));
            }
        }
        drop(known);
        self.changed.notify_one();
    }

    /// Resolves names when they are due. Never ends.
    pub async fn run(&self) {
        let mut questions = FuturesUnordered::new();
        loop {
            let (names, next) = self.due(QUESTIONS_MAX - questions.len());
            questions.extend(names.into_iter().map(|name| self.ask(name)));
            tokio::select! {
                Some((name, answer)) = questions.next() => self.take(&name, answer),
                () = sleep_until(next) => {}
                () = self.changed.notified() => {}
            }
        }
    }

    async fn ask(&self, name: String) -> (String, Option<Answer>) {
        let answer = timeout(ANSWER_TIMEOUT, self.resolver.resolve(&name)).await;
        (name, answer.ok().flatten())
    }

    /// Names to ask for now, at most `limit`, and when the next one is due.
    fn due(&self, limit: usize) -> (Vec<String>, Instant) {
        let now = Instant::now();
        let mut known = self.lock();
        known.retain(|_, it| it.is_asked || it.is_followed());
        let mut names = Vec::new();
        let mut next = now + TTL_MAX;
        for (name, it) in known.iter_mut().filter(|(_, it)| !it.is_asked) {
            if it.due > now {
                next = next.min(it.due);
            } else if names.len() < limit {
                it.is_asked = true;
                names.push(name.clone());
            }
        }
        (names, next)
    }

    /// Takes an answer. Without one, or with an empty one, the last good one stays.
    fn take(&self, name: &str, answer: Option<Answer>) {
        let mut known = self.lock();
        let Some(entry) = known.get_mut(name) else { return };
        entry.is_asked = false;
        let Some(Answer { mut addresses, ttl }) = answer.filter(|it| !it.addresses.is_empty())
        else {
            tracing::warn!(name, "cannot be resolved; the last good answer stays");
            entry.due = Instant::now() + FAILURE_WAIT;
            return;
        };
        entry.due = Instant::now() + ttl.clamp(TTL_MIN, TTL_MAX);
        addresses.sort_unstable();
        addresses.dedup();
        addresses.truncate(ADDRESSES_MAX);
        for upstream in entry.followers.iter().filter_map(Weak::upgrade) {
            upstream.set_addresses(name, &addresses);
        }
        entry.addresses = Some(addresses);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn new() -> Self {
        Self { followers: Vec::new(), addresses: None, due: Instant::now(), is_asked: false }
    }

    fn is_followed(&self) -> bool {
        self.followers.iter().any(|it| it.strong_count() > 0)
    }
}

impl SystemResolver {
    /// Reads the system's configuration, `/etc/resolv.conf`. Errors name it.
    pub fn new() -> io::Result<Self> {
        let named = |error: &dyn Display| io::Error::other(format!("{CONFIGURATION}: {error}"));
        let text = match fs::read_to_string(CONFIGURATION) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            text => text.map_err(|error| named(&error))?,
        };
        Self::with(&text).map_err(|error| named(&error))
    }

    fn with(configuration: &str) -> Result<Self, NetError> {
        let (config, options) = parse(configuration)?;
        let mut builder =
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        // When to ask again is decided above; a name that comes up must not wait for what a name
        // server says about names that are not there.
        options.positive_max_ttl = Some(TTL_MAX);
        options.negative_max_ttl = Some(TTL_MIN);
        Ok(Self(builder.build()?))
    }
}

/// Without a name server, or a file, the one of this machine is asked (resolv.conf(5)).
fn parse(configuration: &str) -> Result<(ResolverConfig, ResolverOpts), NetError> {
    let is_told = |line: &str| line.trim_start().starts_with("nameserver");
    if configuration.lines().any(is_told) {
        return parse_resolv_conf(configuration);
    }
    parse_resolv_conf(format!("{configuration}\nnameserver 127.0.0.1\n"))
}

impl Resolve for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Option<Answer>> {
        Box::pin(async move {
            let found = self.0.lookup_ip(name).await;
            let found = found.inspect_err(|error| tracing::debug!(name, %error, "not resolved"));
            let found = found.ok()?;
            let ttl = found.valid_until().saturating_duration_since(time::Instant::now());
            Some(Answer { addresses: found.iter().collect(), ttl })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(configuration: &str) -> Vec<String> {
        let (config, _) = parse(configuration).unwrap();
        config.name_servers().iter().map(|it| it.ip.to_string()).collect()
    }

    #[test]
    fn the_name_servers_are_those_of_the_file_or_the_machines_own() {
        assert_eq!(
            servers("nameserver 192.0.2.53\nnameserver fd00::53"),
            ["192.0.2.53", "fd00::53"]
        );
        for without in ["", "search example.com", "# nameserver 192.0.2.53"] {
            assert_eq!(servers(without), ["127.0.0.1"], "{without:?}");
        }
    }
}
