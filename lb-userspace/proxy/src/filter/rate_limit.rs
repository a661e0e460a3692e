//! How often requests may come.

use super::{
    FilterError,
    buckets::{Bucket, Buckets, Clock},
};
use crate::{
    exchange::Exchange,
    http::{Known, Reason, Request, Response},
};
use lb_model::{RateLimit, RateLimitKey};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Limits; a request needs a token from each. One that a later limit refuses has taken the tokens
/// of those before.
#[derive(Default)]
pub(super) struct RateLimits(Box<[Limit]>);

struct Limit {
    clock: Clock,
    burst: u32,
    key: RateLimitKey,
    state: Arc<State>,
}

/// What outlives a configuration.
#[derive(Default)]
struct State {
    /// Of the whole rule.
    bucket: Bucket,
    /// By key.
    buckets: Buckets,
}

impl RateLimits {
    /// Takes the buckets of the limits in `previous` that have the same key, the first for the
    /// first and so on.
    pub(super) fn compile(
        limits: &[RateLimit],
        previous: Option<&Self>,
        now: Instant,
    ) -> Result<Self, FilterError> {
        let mut old: Vec<&Limit> = previous.map(|it| it.0.iter().collect()).unwrap_or_default();
        let compiled = limits.iter().map(|limit| {
            check(limit)?;
            let clock = Clock::new(limit.requests, limit.interval, now);
            let (burst, key) = (limit.burst, limit.key.clone());
            let Some(place) = old.iter().position(|it| it.key == limit.key) else {
                return Ok(Limit { clock, burst, key, state: Arc::default() });
            };
            let old = old.remove(place);
            let clock = old.clock.with_rate_of(clock, now);
            Ok(Limit { clock, burst, key, state: old.state.clone() })
        });
        Ok(Self(compiled.collect::<Result<_, _>>()?))
    }

    /// The refusal, if there is one.
    pub(super) fn refuse(&self, exchange: &Exchange, request: &Request) -> Option<Response> {
        let wait = self.0.iter().find_map(|limit| limit.take(exchange, request).err())?;
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let mut response = Response::refusal(Reason::RateLimited);
        let mut digits = itoa::Buffer::new();
        response.fields.set(Known::RetryAfter, digits.format(seconds.max(1)).as_bytes());
        Some(response)
    }
}

impl Limit {
    fn take(&self, exchange: &Exchange, request: &Request) -> Result<(), Duration> {
        let (clock, burst, now) = (&self.clock, self.burst, exchange.record.started);
        let buckets = &self.state.buckets;
        match &self.key {
            RateLimitKey::Rule => self.state.bucket.take(clock, burst, now),
            RateLimitKey::Host => buckets.take(request.host(), clock, burst, now),
            RateLimitKey::Client => {
                let client = exchange.record.client.ip().to_canonical();
                buckets.take(client, clock, burst, now)
            }
            RateLimitKey::Header(name) => {
                buckets.take(request.field(name.as_str()), clock, burst, now)
            }
        }
    }
}

fn check(limit: &RateLimit) -> Result<(), FilterError> {
    let wrong = |text: String, why| Err(FilterError::new("rate limit", text, why));
    if limit.requests == 0 || limit.interval.is_zero() {
        return wrong(format!("{}/{:?}", limit.requests, limit.interval), "no request would pass");
    }
    if limit.burst == 0 {
        return wrong("0".to_owned(), "a burst is at least 1");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::exchange_at, *};
    use crate::http::Method;

    fn limit(requests: u32, burst: u32, key: RateLimitKey) -> RateLimit {
        RateLimit { requests, interval: Duration::from_secs(1), burst, key }
    }

    fn passes(limits: &RateLimits, client: &str, request: &Request, at: Instant) -> bool {
        let mut exchange = exchange_at(at);
        exchange.record.client = client.parse().unwrap();
        limits.refuse(&exchange, request).is_none()
    }

    #[test]
    fn who_shares_a_bucket() {
        let now = Instant::now();
        let mut one = Request::new(Method::Get, "a.example", "/");
        one.fields.append("x-user", b"one");
        let mut other = Request::new(Method::Get, "b.example", "/");
        other.fields.append("x-user", b"other");
        let (c1, c1_again, c2) = ("192.0.2.1:1", "[::ffff:192.0.2.1]:2", "192.0.2.2:1");
        for (key, client, request, passes_second) in [
            (RateLimitKey::Rule, c2, &other, false),
            (RateLimitKey::Host, c1, &other, true),
            (RateLimitKey::Host, c2, &one, false),
            (RateLimitKey::Client, c2, &one, true),
            (RateLimitKey::Client, c1_again, &other, false),
            (RateLimitKey::Header("x-user".into()), c1, &other, true),
            (RateLimitKey::Header("x-user".into()), c2, &one, false),
            (RateLimitKey::Header("x-none".into()), c2, &other, false),
        ] {
            let limits = RateLimits::compile(&[limit(1, 1, key.clone())], None, now).unwrap();
            assert!(passes(&limits, c1, &one, now));
            assert_eq!(passes(&limits, client, request, now), passes_second, "{key:?} {client}");
        }
    }

    #[test]
    fn a_refusal_tells_when_to_come_again() {
        let now = Instant::now();
        let slow = RateLimit {
            interval: Duration::from_millis(90_500),
            ..limit(1, 1, RateLimitKey::Rule)
        };
        let limits =
            RateLimits::compile(&[limit(9, 9, RateLimitKey::Rule), slow], None, now).unwrap();
        let request = Request::new(Method::Get, "a", "/");
        assert!(limits.refuse(&exchange_at(now), &request).is_none());
        let refusal = limits.refuse(&exchange_at(now), &request).unwrap();
        assert_eq!((refusal.status, refusal.reason), (429, Some(Reason::RateLimited)));
        assert_eq!(refusal.fields.first(Known::RetryAfter), Some(&b"91"[..]));
    }

    #[test]
    fn a_changed_rate_keeps_what_was_used() {
        let now = Instant::now();
        let request = Request::new(Method::Get, "a", "/");
        let first = [limit(1, 4, RateLimitKey::Client), limit(100, 100, RateLimitKey::Rule)];
        let first = RateLimits::compile(&first, None, now).unwrap();
        for _ in 0..3 {
            assert!(passes(&first, "192.0.2.1:1", &request, now));
        }
        let second = [limit(100, 100, RateLimitKey::Rule), limit(50, 4, RateLimitKey::Client)];
        let second = RateLimits::compile(&second, Some(&first), now).unwrap();
        assert!(passes(&second, "192.0.2.1:1", &request, now));
        assert!(!passes(&second, "192.0.2.1:1", &request, now));
        assert!(passes(&second, "192.0.2.1:1", &request, now + Duration::from_millis(21)));
    }

    #[test]
    fn a_limit_that_nothing_passes_is_refused() {
        let now = Instant::now();
        for wrong in [limit(0, 1, RateLimitKey::Rule), limit(1, 0, RateLimitKey::Rule)] {
            assert!(RateLimits::compile(&[wrong], None, now).is_err());
        }
    }
}
