//! What annotations of a Service or an XBackend say about its upstreams: health checks, outliers,
//! balancing.

use lb_model::{
    Balance, HashKey, HealthCheck, OutlierDetection, Probe, ProxyProtocol, Upstream, Verify,
};
use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

/// Annotations, and what is wrong with those that were looked at.
pub(in crate::lower) struct Annotations<'a> {
    of: Option<&'a BTreeMap<String, String>>,
    /// `lb.internal/...: what is wrong`.
    pub(in crate::lower) problems: Vec<String>,
}

/// Defaults of health checks: as in the file.
const INTERVAL: Duration = Duration::from_secs(2);
const TIMEOUT: Duration = Duration::from_secs(1);
const RISE: u8 = 2;
const FALL: u8 = 3;
const EXPECT: (u16, u16) = (200, 399);

/// Defaults of outlier detection: those of Envoy (`base_ejection_time`, `max_ejection_percent`).
const EJECTION: Duration = Duration::from_secs(30);
const EJECTED_PERCENT: u8 = 10;

/// Nothing that is checked may be asked more often, and nothing waits longer.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(1);

impl<'a> Annotations<'a> {
    /// Those of an object.
    pub(in crate::lower) fn of(object: &'a impl kube::Resource) -> Self {
        Self { of: object.meta().annotations.as_ref(), problems: Vec::new() }
    }

    /// The text of `lb.internal/NAME`.
    pub(in crate::lower) fn text(&self, name: &str) -> Option<&'a str> {
        let text = self.of?.get(&format!("{}/{name}", crate::PREFIX))?;
        Some(text.trim())
    }

    /// What `read` makes of `lb.internal/NAME`; if it is nothing, `wanted` says what it should be.
    pub(in crate::lower) fn parsed<T>(
        &mut self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?;
        let value = read(text);
        if value.is_none() {
            self.problems.push(format!("{}/{name}: {text:?} is not {wanted}", crate::PREFIX));
        }
        value
    }

    /// Sets what annotations say.
    pub(super) fn apply(&mut self, upstream: &mut Upstream) {
        upstream.health = self.health();
        upstream.outlier = self.outlier();
        if let Some(balance) = self.parsed("balance", BALANCES, balance) {
            upstream.balance = balance;
        }
        if let Some(timeout) = self.time("connect-timeout", TIMES) {
            upstream.connect_timeout = timeout;
        }
        upstream.sends_proxy_protocol = self.proxy_protocol();
    }

    /// `lb.internal/proxy-protocol`.
    pub(in crate::lower) fn proxy_protocol(&mut self) -> Option<ProxyProtocol> {
        self.parsed("proxy-protocol", "v1 or v2", |text| match text {
            "v1" => Some(ProxyProtocol::V1),
            "v2" => Some(ProxyProtocol::V2),
            _ => None,
        })
    }

    /// `lb.internal/health-*`: HTTP if there is a path, else TCP if any of them is there.
    pub(in crate::lower) fn health(&mut self) -> Option<HealthCheck> {
        let port = self.parsed("health-port", "a port", |it| it.parse().ok().filter(|it| *it > 0));
        let path =
            self.parsed("health-path", "a path", |it| it.starts_with('/').then(|| it.to_owned()));
        let host = self.text("health-host").map(str::to_owned);
        let expect = self.parsed("health-expect", "a status or a range of them", range);
        let interval = self.time("health-interval", TIMES);
        let timeout = self.time("health-timeout", TIMES);
        let rise = self.count("health-rise");
        let fall = self.count("health-fall");
        let probe = match path {
            Some(path) => Probe::Http { port, path, host, expect: expect.unwrap_or(EXPECT) },
            None if port.is_some() || interval.is_some() => Probe::Tcp { port },
            None => return None,
        };
        let interval = interval.unwrap_or(INTERVAL);
        Some(HealthCheck {
            probe,
            interval,
            timeout: timeout.unwrap_or(TIMEOUT).min(interval),
            rise: rise.unwrap_or(RISE),
            fall: fall.unwrap_or(FALL),
        })
    }

    fn outlier(&mut self) -> Option<OutlierDetection> {
        let failures = self.parsed("outlier-failures", "a number of failures", |it| {
            it.parse().ok().filter(|it| *it > 0)
        })?;
        let percent = self.parsed("outlier-percent", "a percentage", |it| {
            it.trim_end_matches('%').parse().ok().filter(|it| (1..=100).contains(it))
        });
        Some(OutlierDetection {
            failures,
            ejection: self.time("outlier-ejection", TIMES).unwrap_or(EJECTION),
            ejected_percent_max: percent.unwrap_or(EJECTED_PERCENT),
        })
    }

    /// A time such as `500ms`, `2s`, `1m`.
    pub(in crate::lower) fn time(
        &mut self,
        name: &str,
        range: RangeInclusive<Duration>,
    ) -> Option<Duration> {
        let (first, last) = (range.start(), range.end());
        let wanted = format!("a time from {first:?} to {last:?}, such as 500ms, 2s or 1m");
        self.parsed(name, &wanted, |text| time(text).filter(|it| range.contains(it)))
    }

    fn count(&mut self, name: &str) -> Option<u8> {
        self.parsed(name, "a number from 1 to 10", |it| {
            it.parse().ok().filter(|it| (1..=10).contains(it))
        })
    }

    /// How an origin's certificate is verified where no policy says it: `lb.internal/tls-verify`
    /// (`system` or `insecure`), `lb.internal/tls-server-name`.
    pub(super) fn tls(&mut self) -> (Verify, Option<String>) {
        let verify = self.parsed("tls-verify", "system or insecure", |text| match text {
            "system" => Some(Verify::System),
            "insecure" => Some(Verify::Insecure),
            _ => None,
        });
        let name = self.text("tls-server-name").map(str::to_ascii_lowercase);
        (verify.unwrap_or(Verify::System), name)
    }
}

const BALANCES: &str = "ewma, round-robin, least-request or source";

fn balance(text: &str) -> Option<Balance> {
    match text {
        "ewma" => Some(Balance::PeakEwma),
        "round-robin" => Some(Balance::RoundRobin),
        "least-request" => Some(Balance::LeastRequest),
        "source" => Some(Balance::Maglev(HashKey::Source)),
        _ => None,
    }
}

fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    ((100..=599).contains(&first) && first <= last && last <= 599).then_some((first, last))
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.find(|it: char| !it.is_ascii_digit())?;
    let (number, unit) = text.split_at_checked(digits)?;
    let number: u64 = number.parse().ok()?;
    let milliseconds = match unit {
        "ms" => Some(number),
        "s" => number.checked_mul(1_000),
        "m" => number.checked_mul(60_000),
        "h" => number.checked_mul(3_600_000),
        _ => None,
    };
    Some(Duration::from_millis(milliseconds?))
}
