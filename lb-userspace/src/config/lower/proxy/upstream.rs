//! Upstreams.

use super::{Context, endpoint, field, names::Taken, tls};
use crate::{
    config::{
        located::Located,
        lower::{health, scalar},
        schema,
    },
    model::{
        Balance, HashKey, OutlierDetection, ProxyProtocol, Shared, Upstream, UpstreamLimits,
        UpstreamProtocol,
    },
};
use lb_common::limits;
use std::{collections::BTreeMap, time::Duration};

/// Defaults of outlier detection: those of Envoy (`consecutive_5xx`, `base_ejection_time`,
/// `max_ejection_percent`).
const FAILURES_DEFAULT: u32 = 5;
const EJECTION_DEFAULT: Duration = Duration::from_secs(30);
const EJECTED_PERCENT_DEFAULT: u8 = 10;

/// Failures in a row that eject, at most.
const FAILURES_MAX: u32 = 1_000;

pub(super) fn all(
    list: &[schema::Upstream],
    defaults: Option<&schema::UpstreamDefaults>,
    cx: &mut Context<'_>,
) -> BTreeMap<String, Shared<Upstream>> {
    if let Some(first) = list.get(limits::UPSTREAMS_MAX) {
        cx.too_many("upstreams", list.len(), limits::UPSTREAMS_MAX, first.name.at);
    }
    let default = defaults.map_or_else(Upstream::default, |defaults| {
        overridden(&Upstream::default(), &Fields::from(defaults), cx)
    });
    let mut taken = Taken::default();
    let mut upstreams = BTreeMap::new();
    for file in list {
        let name = taken.take("upstream", &file.name, cx.report);
        let mut upstream = overridden(&default, &Fields::from(file), cx);
        upstream.endpoints = endpoint::all(&file.endpoints, cx);
        if let Some(name) = name {
            upstreams.insert(name, upstream.into());
        }
    }
    upstreams
}

/// The keys that `defaults` and an upstream have in common.
struct Fields<'a> {
    protocol: Option<schema::UpstreamProtocol>,
    tls: Option<&'a Located<schema::TextOr<schema::UpstreamTls>>>,
    balance: Option<&'a schema::Balance>,
    health: Option<&'a Located<schema::Health>>,
    outlier: Option<&'a Located<schema::TextOr<schema::Outlier>>>,
    limits: Option<&'a schema::Limits>,
    slow_start: Option<&'a Located<String>>,
    connect_timeout: Option<&'a Located<String>>,
    idle_timeout: Option<&'a Located<String>>,
    proxy_protocol: Option<schema::ProxyVersion>,
}

impl<'a> From<&'a schema::UpstreamDefaults> for Fields<'a> {
    fn from(file: &'a schema::UpstreamDefaults) -> Self {
        Self {
            protocol: file.protocol,
            tls: file.tls.as_ref(),
            balance: file.balance.as_ref(),
            health: file.health.as_ref(),
            outlier: file.outlier.as_ref(),
            limits: file.limits.as_ref(),
            slow_start: file.slow_start.as_ref(),
            connect_timeout: file.connect_timeout.as_ref(),
            idle_timeout: file.idle_timeout.as_ref(),
            proxy_protocol: file.proxy_protocol,
        }
    }
}

impl<'a> From<&'a schema::Upstream> for Fields<'a> {
    fn from(file: &'a schema::Upstream) -> Self {
        Self {
            protocol: file.protocol,
            tls: file.tls.as_ref(),
            balance: file.balance.as_ref(),
            health: file.health.as_ref(),
            outlier: file.outlier.as_ref(),
            limits: file.limits.as_ref(),
            slow_start: file.slow_start.as_ref(),
            connect_timeout: file.connect_timeout.as_ref(),
            idle_timeout: file.idle_timeout.as_ref(),
            proxy_protocol: file.proxy_protocol,
        }
    }
}

/// `base`, where `fields` says nothing else.
fn overridden(base: &Upstream, fields: &Fields<'_>, cx: &mut Context<'_>) -> Upstream {
    let slow_start = Some(base.slow_start);
    let slow_start = cx.time_or_none("slow start", fields.slow_start, slow_start);
    Upstream {
        endpoints: BTreeMap::new(),
        protocol: fields.protocol.map_or(base.protocol, protocol),
        tls: fields.tls.map_or_else(|| base.tls.clone(), |tls| tls::upstream(tls, cx)),
        balance: fields.balance.map_or_else(|| base.balance.clone(), |it| balance(it, cx)),
        health: fields
            .health
            .map_or_else(|| base.health.clone(), |it| health::lower(it, cx.report)),
        outlier: fields.outlier.map_or_else(|| base.outlier.clone(), |it| outlier(it, cx)),
        limits: fields.limits.map_or(base.limits, |it| limits(base.limits, it, cx)),
        slow_start: slow_start.unwrap_or_default(),
        connect_timeout: cx.time("connect timeout", fields.connect_timeout, base.connect_timeout),
        idle_timeout: cx.time("idle timeout", fields.idle_timeout, base.idle_timeout),
        sends_proxy_protocol: fields.proxy_protocol.map(version).or(base.sends_proxy_protocol),
    }
}

const fn protocol(file: schema::UpstreamProtocol) -> UpstreamProtocol {
    match file {
        schema::UpstreamProtocol::Auto => UpstreamProtocol::Auto,
        schema::UpstreamProtocol::Http1 => UpstreamProtocol::Http1,
        schema::UpstreamProtocol::Http2 => UpstreamProtocol::Http2,
    }
}

const fn version(file: schema::ProxyVersion) -> ProxyProtocol {
    match file {
        schema::ProxyVersion::V1 => ProxyProtocol::V1,
        schema::ProxyVersion::V2 => ProxyProtocol::V2,
    }
}

fn balance(file: &schema::Balance, cx: &mut Context<'_>) -> Balance {
    let key = match file {
        schema::Balance::PeakEwma => return Balance::PeakEwma,
        schema::Balance::RoundRobin => return Balance::RoundRobin,
        schema::Balance::LeastRequest => return Balance::LeastRequest,
        schema::Balance::Maglev(key) => key,
    };
    let key = match key {
        schema::HashKey::Source => Some(HashKey::Source),
        schema::HashKey::Header(name) => field::name(name, cx.report).map(HashKey::Header),
        schema::HashKey::Cookie(name) => field::cookie(name, cx.report).map(HashKey::Cookie),
    };
    key.map_or_else(Balance::default, Balance::Maglev)
}

fn outlier(
    file: &Located<schema::TextOr<schema::Outlier>>,
    cx: &mut Context<'_>,
) -> Option<OutlierDetection> {
    let outlier = match &file.value {
        schema::TextOr::Full(outlier) => outlier,
        schema::TextOr::Text(text) if text == scalar::NONE => return None,
        schema::TextOr::Text(text) => {
            let hint = "write a mapping (`{}` for all defaults), or `none`";
            cx.report.error(file.at, format!("`{text}` is no outlier detection"), hint);
            return None;
        }
    };
    let failures = outlier.failures.as_ref();
    let percent = outlier.ejected_percent_max.as_ref();
    Some(OutlierDetection {
        failures: scalar::count(
            "number of failures",
            failures,
            1..=FAILURES_MAX,
            FAILURES_DEFAULT,
            cx.report,
        ),
        ejection: cx.time("ejection time", outlier.ejection.as_ref(), EJECTION_DEFAULT),
        ejected_percent_max: self::percent(percent, EJECTED_PERCENT_DEFAULT, cx),
    })
}

fn percent(number: Option<&Located<i64>>, default: u8, cx: &mut Context<'_>) -> u8 {
    scalar::count("percentage", number, 0..=100, default, cx.report)
}

fn limits(base: UpstreamLimits, file: &schema::Limits, cx: &mut Context<'_>) -> UpstreamLimits {
    let pending = file.pending_max.as_ref();
    let pending_range = 0..=*super::COUNT.end();
    UpstreamLimits {
        connections_max: cx.count(
            "number of connections",
            file.connections_max.as_ref(),
            base.connections_max,
        ),
        requests_max: cx.count("number of requests", file.requests_max.as_ref(), base.requests_max),
        pending_max: scalar::count(
            "number of requests",
            pending,
            pending_range,
            base.pending_max,
            cx.report,
        ),
        retries_percent_max: percent(
            file.retries_percent_max.as_ref(),
            base.retries_percent_max,
            cx,
        ),
    }
}
