//! Who may send how much, and where copies go.

use super::{Context, field, names::Kind};
use crate::{
    config::{
        located::Located,
        lower::{address, scalar},
        schema,
    },
    model::{AddressAccess, Mirror, RateLimit, RateLimitKey},
};
use std::{ops::RangeInclusive, time::Duration};

/// Intervals that requests are counted in.
const INTERVAL: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_hours(24);

/// Interval of a rate, unless it is said.
const INTERVAL_DEFAULT: Duration = Duration::from_secs(1);

pub(super) fn access(file: &Located<schema::Access>, cx: &mut Context<'_>) -> AddressAccess {
    let (allow, deny) =
        (super::list(file.value.allow.as_ref()), super::list(file.value.deny.as_ref()));
    if allow.is_empty() && deny.is_empty() {
        let hint = "list prefixes in `allow` or `deny`, or remove `access`";
        cx.report.error(file.at, "neither `allow` nor `deny`", hint);
    }
    AddressAccess {
        allow: address::prefixes(allow, cx.report),
        deny: address::prefixes(deny, cx.report),
    }
}

/// `200/s`, or a mapping.
pub(super) fn rate_limit(
    file: &Located<schema::TextOr<schema::RateLimit>>,
    cx: &mut Context<'_>,
) -> Option<RateLimit> {
    let file = match &file.value {
        schema::TextOr::Full(file) => file,
        schema::TextOr::Text(text) => {
            let rate = rate(text);
            if rate.is_none() {
                let hint = "write `REQUESTS/s`, `/m` or `/h`, like `200/s`; or a mapping with \
                            `requests`, `interval`, `burst` and `key`";
                cx.report.error(file.at, format!("`{text}` is not a rate"), hint);
            }
            let (requests, interval) = rate?;
            return Some(RateLimit {
                requests,
                interval,
                burst: requests,
                key: RateLimitKey::Rule,
            });
        }
    };
    let requests = scalar::number("number of requests", &file.requests, super::COUNT, cx.report);
    let interval = file.interval.as_ref();
    let interval = scalar::time("interval", interval, INTERVAL, INTERVAL_DEFAULT, cx.report);
    let requests = requests?;
    let burst = cx.count("burst", file.burst.as_ref(), requests);
    let key = match &file.key {
        None | Some(schema::RateKey::Rule) => RateLimitKey::Rule,
        Some(schema::RateKey::Host) => RateLimitKey::Host,
        Some(schema::RateKey::Client) => RateLimitKey::Client,
        Some(schema::RateKey::Header(name)) => RateLimitKey::Header(field::name(name, cx.report)?),
    };
    Some(RateLimit { requests, interval, burst, key })
}

fn rate(text: &str) -> Option<(u32, Duration)> {
    let (requests, unit) = text.split_once('/')?;
    let interval = match unit {
        "s" => Duration::from_secs(1),
        "m" => Duration::from_mins(1),
        "h" => Duration::from_hours(1),
        _ => return None,
    };
    let digits = requests.bytes().all(|byte| byte.is_ascii_digit());
    let requests = requests.parse().ok().filter(|n| digits && super::COUNT.contains(n))?;
    Some((requests, interval))
}

/// The name of an upstream, or a mapping.
pub(super) fn mirror(
    file: &Located<schema::TextOr<schema::Mirror>>,
    cx: &mut Context<'_>,
) -> Option<Mirror> {
    let (upstream, share) = match &file.value {
        schema::TextOr::Text(name) => (&Located { value: name.clone(), at: file.at }, None),
        schema::TextOr::Full(file) => (&file.upstream, file.share.as_ref()),
    };
    let share = share.map_or(Some((1, 1)), |text| self::share(text, cx));
    let there = cx.refers(Kind::Upstream, upstream);
    Some(Mirror { upstream: there.then(|| upstream.value.clone()), share: share? })
}

/// `10%` or `1/3`.
fn share(text: &Located<String>, cx: &mut Context<'_>) -> Option<(u32, u32)> {
    let value = text.value.trim();
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    let parts = match value.strip_suffix('%') {
        Some(percent) => number(percent).map(|percent| (percent, 100)),
        None => value.split_once('/').and_then(|(n, d)| Some((number(n)?, number(d)?))),
    };
    let share = parts.filter(|(n, d)| n <= d && *d > 0);
    if share.is_none() {
        let hint = "write percent like `10%`, or a fraction like `1/3`, of at most all";
        cx.report.error(text.at, format!("`{value}` is not a share"), hint);
    }
    share
}
