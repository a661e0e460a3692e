//! What the annotations of an Ingress ask for: those of ingress-nginx that people live on.

use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, time::Duration};

/// Prefix of ingress-nginx's annotations.
const PREFIX: &str = "nginx.ingress.kubernetes.io/";

/// How far an annotation is followed.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Coverage {
    /// It is.
    Covered,
    /// It tunes what does not exist here (buffers, worker internals): nothing is lost.
    Needless,
    /// It is not followed.
    Refused(String),
}

/// What the annotations of an Ingress ask for, and how far each is followed.
#[derive(Clone, Debug, Default)]
pub(in crate::lower) struct Wishes {
    texts: BTreeMap<String, String>,
    /// By the annotation's name without the prefix.
    pub(in crate::lower) coverage: BTreeMap<String, Coverage>,
}

/// Annotations that are followed, wherever they are read. Values are checked there.
const KNOWN: &[&str] = &[
    "affinity",
    "affinity-mode",
    "allowlist-source-range",
    "app-root",
    "auth-method",
    "auth-realm",
    "auth-response-headers",
    "auth-secret",
    "auth-secret-type",
    "auth-signin",
    "auth-type",
    "auth-url",
    "backend-protocol",
    "canary",
    "canary-by-cookie",
    "canary-by-header",
    "canary-by-header-pattern",
    "canary-by-header-value",
    "canary-weight",
    "canary-weight-total",
    "cors-allow-credentials",
    "cors-allow-headers",
    "cors-allow-methods",
    "cors-allow-origin",
    "cors-expose-headers",
    "cors-max-age",
    "denylist-source-range",
    "enable-cors",
    "force-ssl-redirect",
    "limit-burst-multiplier",
    "limit-rpm",
    "limit-rps",
    "limit-whitelist",
    "load-balance",
    "permanent-redirect",
    "permanent-redirect-code",
    "preserve-trailing-slash",
    "proxy-body-size",
    "proxy-connect-timeout",
    "proxy-next-upstream",
    "proxy-next-upstream-tries",
    "proxy-read-timeout",
    "proxy-send-timeout",
    "proxy-ssl-name",
    "proxy-ssl-secret",
    "proxy-ssl-server-name",
    "proxy-ssl-verify",
    "rewrite-target",
    "server-alias",
    "session-cookie-expires",
    "session-cookie-max-age",
    "session-cookie-name",
    "session-cookie-path",
    "ssl-redirect",
    "temporal-redirect",
    "temporal-redirect-code",
    "upstream-hash-by",
    "upstream-vhost",
    "use-regex",
    "whitelist-source-range",
    "x-forwarded-prefix",
];

/// Annotations that tune what does not exist here.
const NEEDLESS: &[&str] = &[
    "client-body-buffer-size",
    "client-header-buffer-size",
    "connection-proxy-header",
    "enable-access-log",
    "enable-rewrite-log",
    "http2-push-preload",
    "proxy-buffer-size",
    "proxy-buffering",
    "proxy-buffers-number",
    "proxy-busy-buffers-size",
    "proxy-http-version",
    "proxy-max-temp-file-size",
    "proxy-request-buffering",
    "service-upstream",
    "session-cookie-samesite",
    "session-cookie-secure",
    "session-cookie-conditional-samesite-none",
    "session-cookie-change-on-failure",
    "ssl-ciphers",
    "ssl-prefer-server-ciphers",
    "websocket-services",
];

impl Wishes {
    pub(in crate::lower) fn new(annotations: Option<&BTreeMap<String, String>>) -> Self {
        let mut wishes = Self::default();
        for (name, text) in annotations.into_iter().flatten() {
            let Some(name) = name.strip_prefix(PREFIX) else { continue };
            let coverage = coverage(name);
            if coverage == Coverage::Covered {
                wishes.texts.insert(name.to_owned(), text.trim().to_owned());
            }
            wishes.coverage.insert(name.to_owned(), coverage);
        }
        wishes
    }

    /// The text of an annotation; an empty one counts as none.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        debug_assert!(KNOWN.contains(&name), "{name}");
        self.texts.get(name).map(String::as_str).filter(|it| !it.is_empty())
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, name: &str) -> bool {
        self.text(name) == Some("true")
    }

    /// Whether a switch that is on by default is on.
    pub(super) fn is_not_off(&self, name: &str) -> bool {
        self.text(name) != Some("false")
    }

    /// Notes that the value of an annotation cannot be followed.
    pub(super) fn refuse(&mut self, name: &str, why: impl Into<String>) {
        self.coverage.insert(name.to_owned(), Coverage::Refused(why.into()));
    }

    /// A value that `parse` understands; one that it does not is noted as refused.
    pub(super) fn parsed<T>(
        &mut self,
        name: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let text = self.text(name)?.to_owned();
        let parsed = parse(&text);
        if parsed.is_none() {
            self.refuse(name, format!("{text:?} is not understood"));
        }
        parsed
    }

    /// A number.
    pub(super) fn number(&mut self, name: &str) -> Option<u32> {
        self.parsed(name, |text| text.parse().ok())
    }

    /// A time: seconds, or nginx's `10s`, `2m`, `1h`.
    pub(super) fn time(&mut self, name: &str) -> Option<Duration> {
        self.parsed(name, time)
    }

    /// Bytes: `8m`, `512k`, `1g` or a number; 0 = no limit.
    pub(super) fn bytes(&mut self, name: &str) -> Option<u64> {
        self.parsed(name, bytes)
    }

    /// Addresses and prefixes, separated by commas.
    pub(super) fn prefixes(&mut self, name: &str) -> Vec<IpNet> {
        self.parsed(name, |text| text.split(',').map(|it| prefix(it.trim())).collect())
            .unwrap_or_default()
    }

    /// Words separated by commas.
    pub(super) fn list(&self, name: &str) -> Option<Vec<String>> {
        let text = self.text(name)?;
        let words = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        Some(words.map(ToOwned::to_owned).collect())
    }
}

fn coverage(name: &str) -> Coverage {
    if KNOWN.contains(&name) {
        Coverage::Covered
    } else if NEEDLESS.contains(&name) {
        Coverage::Needless
    } else if name.ends_with("-snippet") {
        Coverage::Refused("snippets of nginx's configuration are never run".to_owned())
    } else {
        Coverage::Refused("not known here".to_owned())
    }
}

fn time(text: &str) -> Option<Duration> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    match text.get(digits.len()..)? {
        "" | "s" => Some(Duration::from_secs(number)),
        "ms" => Some(Duration::from_millis(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        "h" => Some(Duration::from_secs(number.checked_mul(3_600)?)),
        _ => None,
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok()?;
    let unit = match text.get(digits.len()..)? {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

fn prefix(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
