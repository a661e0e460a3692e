//! The L7 proxy: listeners, routes, upstreams, certificates.

mod answer;
mod auth;
mod certificate;
mod endpoint;
mod field;
mod filter;
mod header;
mod host;
mod listener;
mod log;
mod names;
mod path;
mod port;
mod request_match;
mod route;
mod rule;
mod stream_route;
mod tls;
mod traffic;
mod upstream;

use super::{Whole, scalar};
use crate::{
    config::{
        diagnostic::{Position, Report},
        files::Files,
        located::Located,
        schema,
    },
    model::{Proxy, ProxySettings},
};
use lb_common::limits;
use names::Names;
use std::{ops::RangeInclusive, time::Duration};

/// Times that a person waits for, or a machine.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_hours(24);

/// Connections, requests, streams: more than memory could hold.
const COUNT: RangeInclusive<u32> = 1..=16_777_216;

/// Worker threads: more than a machine has CPUs.
const WORKERS: RangeInclusive<u16> = 1..=1_024;

/// What lowering of the proxy's part needs at every place.
struct Context<'a> {
    files: &'a mut Files,
    report: &'a mut Report,
    names: Names,
    /// Regular expressions so far.
    regex_count: usize,
    /// Rules so far.
    rule_count: usize,
    /// Endpoints so far.
    endpoint_count: usize,
}

/// The proxy's part of the file. Services have been lowered before.
pub(super) fn lower(
    file: &schema::File,
    whole: &mut Whole,
    files: &mut Files,
    report: &mut Report,
) -> Proxy {
    let names = Names::declared(file);
    let mut context =
        Context { files, report, names, regex_count: 0, rule_count: 0, endpoint_count: 0 };
    let cx = &mut context;
    let certificates = certificate::all(list(file.certificates.as_ref()), cx).into();
    let listeners = listener::all(list(file.listeners.as_ref()), whole, cx).into();
    let defaults = file.defaults.as_ref().and_then(|defaults| defaults.upstream.as_ref());
    let upstreams = upstream::all(list(file.upstreams.as_ref()), defaults, cx).into();
    let (routes, streams) = (list(file.routes.as_ref()), list(file.stream_routes.as_ref()));
    if routes.len() + streams.len() > limits::ROUTES_MAX {
        let last =
            streams.last().map(|it| it.name.at).or_else(|| routes.last().map(|it| it.name.at));
        let count = routes.len() + streams.len();
        cx.too_many("routes", count, limits::ROUTES_MAX, last.unwrap_or_default());
    }
    let routes = route::all(routes, cx).into();
    let stream_routes = stream_route::all(streams, cx).into();
    let settings = settings(file.proxy.as_ref(), cx);
    Proxy { settings, listeners, routes, stream_routes, upstreams, certificates }
}

fn list<T>(list: Option<&Vec<T>>) -> &[T] {
    list.map_or(&[], Vec::as_slice)
}

fn settings(file: Option<&schema::Proxy>, cx: &mut Context<'_>) -> ProxySettings {
    let default = ProxySettings::default();
    let Some(file) = file else { return default };
    let workers = file.workers.as_ref();
    ProxySettings {
        workers: workers.and_then(|n| scalar::number("number of workers", n, WORKERS, cx.report)),
        connections_max: cx.count(
            "number of connections",
            file.connections_max.as_ref(),
            default.connections_max,
        ),
        queue_delay_max: cx.time_or_none(
            "queue delay",
            file.queue_delay_max.as_ref(),
            default.queue_delay_max,
        ),
        drain_timeout: cx.time("drain timeout", file.drain_timeout.as_ref(), default.drain_timeout),
        access_log: file.access_log.as_ref().map(|file| log::lower(file, cx)),
    }
}

impl Context<'_> {
    /// A time within [`TIMEOUT`].
    fn time(&mut self, what: &str, text: Option<&Located<String>>, default: Duration) -> Duration {
        scalar::time(what, text, TIMEOUT, default, self.report)
    }

    /// A time within [`TIMEOUT`], or `none`.
    fn time_or_none(
        &mut self,
        what: &str,
        text: Option<&Located<String>>,
        default: Option<Duration>,
    ) -> Option<Duration> {
        scalar::time_or_none(what, text, TIMEOUT, default, self.report)
    }

    /// A number within [`COUNT`].
    fn count(&mut self, what: &str, number: Option<&Located<i64>>, default: u32) -> u32 {
        scalar::count(what, number, COUNT, default, self.report)
    }

    fn too_many(&mut self, what: &str, count: usize, max: usize, at: Position) {
        self.report.error(
            at,
            format!("{count} {what} are more than the {max} that can be had"),
            "split what is too large, or share it between several instances",
        );
    }

    /// What a file holds that must be there.
    fn contents(&mut self, path: &Located<String>) -> Option<std::sync::Arc<[u8]>> {
        match self.files.read(&path.value) {
            Ok(contents) => Some(contents),
            Err(why) => {
                let message = format!("cannot read `{}`: {why}", path.value);
                self.report.error(path.at, message, RELATIVE);
                None
            }
        }
    }
}

/// How paths of files are meant.
pub(in crate::config) const RELATIVE: &str =
    "a relative path starts at the folder of the configuration file";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Severity;
    use serde_json::{Value, json};

    /// Lowers what a file of this content would say; JSON is read faster than YAML, and the places
    /// are not needed here.
    fn lowered(file: &Value) -> String {
        let file: schema::File = serde_json::from_value(file.clone()).unwrap();
        let mut report = Report::default();
        lower(&file, &mut Whole::default(), &mut Files::new(None), &mut report);
        let shown = report.finish("f", "");
        shown.iter().filter(|it| it.severity == Severity::Error).map(ToString::to_string).collect()
    }

    /// `file` makes so many: `max` are taken, one more is not.
    fn limit(max: usize, what: &str, file: impl Fn(usize) -> Value) {
        assert_eq!(lowered(&file(max)), "", "{what}");
        let shown = lowered(&file(max + 1));
        assert!(shown.contains(&format!("{} {what} are more than the {max}", max + 1)), "{shown}");
    }

    fn many(count: usize, item: impl Fn(usize) -> Value) -> Value {
        (1..=count).map(item).collect()
    }

    fn listeners(count: usize) -> Value {
        many(
            count,
            |n| json!({ "name": format!("l{n}"), "binds": [format!("[::1]:{n}")], "protocol": "http" }),
        )
    }

    fn upstreams(count: usize) -> Value {
        many(count, |n| json!({ "name": format!("u{n}"), "endpoints": [] }))
    }

    fn with_rules(rules: &Value) -> Value {
        let routes = json!([{ "name": "r", "listeners": ["l1"], "rules": rules }]);
        json!({ "listeners": listeners(1), "routes": routes, "upstreams": upstreams(1) })
    }

    #[test]
    fn listeners_and_certificates_have_limits() {
        limit(limits::LISTENERS_MAX, "listeners", |n| json!({ "listeners": listeners(n) }));
        // Their files are missing, which is only worth a warning.
        limit(limits::CERTIFICATES_MAX, "certificates", |count| {
            let certificate = |n| json!({ "name": format!("c{n}"), "chain": "c", "key": "k" });
            json!({ "certificates": many(count, certificate) })
        });
    }

    #[test]
    fn upstreams_and_endpoints_have_limits() {
        limit(limits::UPSTREAMS_MAX, "upstreams", |n| json!({ "upstreams": upstreams(n) }));
        limit(limits::ENDPOINTS_MAX, "endpoints", |count| {
            let endpoints =
                many(count, |n| json!(format!("10.{}.{}.{}:1", n >> 16, n >> 8 & 255, n & 255)));
            json!({ "upstreams": [{ "name": "u", "endpoints": endpoints }] })
        });
    }

    #[test]
    fn routes_have_limits() {
        let rules = json!([{ "backends": ["u1"] }]);
        limit(limits::ROUTES_MAX, "routes", |count| {
            let routes = many(
                count,
                |n| json!({ "name": format!("r{n}"), "listeners": ["l1"], "rules": rules }),
            );
            json!({ "listeners": listeners(1), "routes": routes, "upstreams": upstreams(1) })
        });
    }

    #[test]
    fn rules_have_limits() {
        let file: schema::File = serde_json::from_value(with_rules(&json!([{
            "backends": ["u1"]
        }])))
        .unwrap();
        let (mut files, mut report) = (Files::new(None), Report::default());
        let mut cx = Context {
            files: &mut files,
            report: &mut report,
            names: Names::declared(&file),
            regex_count: 0,
            // Writing and lowering all of them would take a debug build a minute.
            rule_count: limits::RULES_MAX - 1,
            endpoint_count: 0,
        };
        route::all(list(file.routes.as_ref()), &mut cx);
        route::all(list(file.routes.as_ref()), &mut cx);
        let shown = report.finish("f", "").to_string();
        assert_eq!(shown.matches("error: ").count(), 1, "{shown}");
        assert!(shown.contains("262145 rules are more than the 262144"), "{shown}");
    }

    #[test]
    fn regular_expressions_have_limits() {
        let regex = json!({ "path": { "regex": "a" } });
        limit(limits::REGEXES_MAX, "regular expressions", |count| {
            with_rules(&many(count, |_| json!({ "match": [regex], "backends": ["u1"] })))
        });
    }

    #[test]
    fn a_rule_has_limits() {
        limit(limits::RULE_BACKENDS_MAX, "backends", |count| {
            let filters = json!({});
            let backends = many(count, |_| json!({ "upstream": "u1", "filters": filters }));
            with_rules(&json!([{ "backends": backends }]))
        });
        for (key, what) in
            [("mirrors", "mirrors"), ("rate_limits", "rate limits"), ("error_pages", "error pages")]
        {
            let item = match key {
                "mirrors" => json!("u1"),
                "rate_limits" => json!("1/s"),
                _ => json!({ "statuses": [404], "text": "" }),
            };
            limit(limits::RULE_FILTERS_MAX, what, |count| {
                let list = many(count, |_| item.clone());
                with_rules(&json!([{ "filters": { key: list }, "backends": ["u1"] }]))
            });
        }
    }
}
