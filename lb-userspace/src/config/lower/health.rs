//! Health checks.

use super::scalar;
use crate::{
    config::{diagnostic::Report, located::Located, schema},
    model::{HealthCheck, Probe},
};
use std::time::Duration;

const INTERVAL_DEFAULT: Duration = Duration::from_secs(2);
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(1);
const RISE_DEFAULT: u8 = 2;
const FALL_DEFAULT: u8 = 3;
const EXPECT_DEFAULT: (u16, u16) = (200, 399);

/// Probing faster than ten times a second is load, not a check.
const INTERVAL_MIN: Duration = Duration::from_millis(100);
const INTERVAL_MAX: Duration = Duration::from_hours(1);
/// Below it a loaded router's own scheduling would fail healthy backends.
const TIMEOUT_MIN: Duration = Duration::from_millis(10);
/// Results in a row that take a backend out or back.
const IN_A_ROW_MAX: u8 = 10;

/// Bytes of a request path; servers commonly take 4 to 8 KiB for the whole request line.
const PATH_BYTES_MAX: usize = 2_048;
/// Bytes of a `Host` header: a DNS name (RFC 1035: 253) and `:65535`.
const HOST_BYTES_MAX: usize = 259;
/// Status codes (RFC 9110, section 15).
const STATUS: (u32, u32) = (100, 599);

/// The check; `None` if there is none or it was refused.
pub(super) fn lower(file: &Located<schema::Health>, report: &mut Report) -> Option<HealthCheck> {
    let health = &file.value;
    let probe = match (&health.tcp, &health.http, &health.none) {
        (Some(tcp), None, None) => Some(Probe::Tcp { port: port(tcp.port.as_ref(), report) }),
        (None, Some(http), None) => self::http(http, report),
        (None, None, Some(schema::NoProbe {})) => {
            no_rhythm(health, report);
            return None;
        }
        (None, None, None) => {
            report.error(
                file.at,
                "a health check without a probe",
                "add `tcp: {}`, `http: { path: /healthz }`, or `none: {}` for no check",
            );
            None
        }
        _ => {
            report.error(
                file.at,
                "a health check with more than one probe",
                "keep one of `tcp`, `http` and `none`",
            );
            None
        }
    };
    // Report the rhythm's mistakes even if there is no usable probe.
    let interval = health.interval.as_ref().map_or(Some(INTERVAL_DEFAULT), |text| {
        scalar::duration("interval", text, INTERVAL_MIN..=INTERVAL_MAX, report)
    });
    let timeout = timeout(health, interval, report);
    let rise = in_a_row("rise", health.rise.as_ref(), RISE_DEFAULT, report);
    let fall = in_a_row("fall", health.fall.as_ref(), FALL_DEFAULT, report);
    Some(HealthCheck {
        probe: probe?,
        interval: interval?,
        timeout: timeout?,
        rise: rise?,
        fall: fall?,
    })
}

/// `none` goes with nothing else.
fn no_rhythm(health: &schema::Health, report: &mut Report) {
    let given = [
        health.interval.as_ref().map(|it| it.at),
        health.timeout.as_ref().map(|it| it.at),
        health.rise.as_ref().map(|it| it.at),
        health.fall.as_ref().map(|it| it.at),
    ];
    if let Some(at) = given.into_iter().flatten().next() {
        let hint = "remove it, or replace `none` by a probe";
        report.error(at, "`none` means no check: there is nothing to time or count", hint);
    }
}

fn timeout(
    health: &schema::Health,
    interval: Option<Duration>,
    report: &mut Report,
) -> Option<Duration> {
    // An interval that was refused has been reported; judge the timeout by the largest.
    let limit = interval.unwrap_or(INTERVAL_MAX);
    let Some(text) = &health.timeout else { return Some(TIMEOUT_DEFAULT.min(limit)) };
    let timeout = scalar::duration("timeout", text, TIMEOUT_MIN..=INTERVAL_MAX, report)?;
    if timeout > limit {
        report.error(
            text.at,
            format!("timeout {} is longer than the interval", text.value),
            format!(
                "a probe must end before the next one starts: at most {}",
                scalar::show_duration(limit)
            ),
        );
        return None;
    }
    Some(timeout)
}

fn in_a_row(
    what: &str,
    number: Option<&Located<i64>>,
    default: u8,
    report: &mut Report,
) -> Option<u8> {
    number.map_or(Some(default), |number| {
        scalar::number(&format!("valid `{what}`"), number, 1..=IN_A_ROW_MAX, report)
    })
}

fn port(number: Option<&Located<i64>>, report: &mut Report) -> Option<u16> {
    number.and_then(|number| scalar::port(number, report))
}

fn http(http: &schema::HttpProbe, report: &mut Report) -> Option<Probe> {
    let port = port(http.port.as_ref(), report);
    let path = path(&http.path, report);
    let host = http.host.as_ref().map(|host| self::host(host, report));
    let expect = http.expect.as_ref().map_or(Some(EXPECT_DEFAULT), |it| expect(it, report));
    Some(Probe::Http {
        port,
        path: path?,
        // Given and bad is an error, not a default.
        host: match host {
            Some(host) => Some(host?),
            None => None,
        },
        expect: expect?,
    })
}

fn path(text: &Located<String>, report: &mut Report) -> Option<String> {
    let path = &text.value;
    let (message, hint) = if !path.starts_with('/') {
        (format!("path `{path}` does not start with `/`"), format!("write `/{path}`"))
    } else if path.len() > PATH_BYTES_MAX {
        let message = format!("a path of {} bytes", path.len());
        (message, format!("at most {PATH_BYTES_MAX} bytes"))
    } else if path.contains('#') {
        let hint = "the part from `#` on is never sent: remove it, or write %23";
        (format!("path `{path}` has a fragment"), hint.to_owned())
    } else if !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        let hint = "no spaces, control characters or non-ASCII: percent-encode them, as in %20";
        (format!("path `{path}` cannot be sent as it is"), hint.to_owned())
    } else {
        return Some(path.clone());
    };
    report.error(text.at, message, hint);
    None
}

fn host(text: &Located<String>, report: &mut Report) -> Option<String> {
    let host = &text.value;
    let sign = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    if host.is_empty() || host.len() > HOST_BYTES_MAX || !host.bytes().all(sign) {
        report.error(
            text.at,
            format!("`{host}` cannot be a Host header"),
            "write a name or address, with `:PORT` if needed; no scheme, path or spaces",
        );
        return None;
    }
    Some(host.clone())
}

fn expect(text: &Located<schema::TextOrNumber>, report: &mut Report) -> Option<(u16, u16)> {
    let value = text.value.to_string();
    let valid = scalar::span(&value)
        .filter(|(first, last)| STATUS.0 <= *first && first <= last && *last <= STATUS.1)
        .and_then(|(first, last)| Some((u16::try_from(first).ok()?, u16::try_from(last).ok()?)));
    if valid.is_none() {
        report.error(
            text.at,
            format!("`{value}` is not a range of status codes"),
            format!(
                "write 200, or FIRST-LAST like 200-399; codes are {} to {}",
                STATUS.0, STATUS.1
            ),
        );
    }
    valid
}
