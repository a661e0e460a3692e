//! TLS towards clients and towards endpoints.

use super::{Context, names::Kind};
use crate::{
    config::{diagnostic::Position, located::Located, lower::scalar, schema},
    model::{
        ClientAuth, ClientAuthMode, HostPattern, ListenerTls, SubjectAltName, TlsVersion,
        UpstreamTls, Verify,
    },
};
use rustls::{CipherSuite, crypto::aws_lc_rs};
use std::{collections::BTreeMap, time::Duration};

/// rustls rotates the keys of tickets within it.
const RESUMPTION_DEFAULT: Duration = Duration::from_hours(12);

/// Longest life of a ticket (RFC 8446, section 4.6.1).
const RESUMPTION_MAX: Duration = Duration::from_hours(7 * 24);

pub(super) fn listener(file: &Located<schema::ListenerTls>, cx: &mut Context<'_>) -> ListenerTls {
    let tls = &file.value;
    if tls.certificates.value.is_empty() {
        let hint = "name at least one of the section `certificates`";
        cx.report.error(tls.certificates.at, "TLS without certificates", hint);
    }
    let certificates = cx.references(Kind::Certificate, &tls.certificates.value);
    let version_min = tls.version_min.as_ref().map_or(TlsVersion::V1_2, |it| version(it.value));
    let version_max = tls.version_max.as_ref().map_or(TlsVersion::V1_3, |it| version(it.value));
    if version_min > version_max {
        let at = tls.version_min.as_ref().or(tls.version_max.as_ref()).map_or(file.at, |it| it.at);
        cx.report.error(at, "the lowest version is above the highest", "swap the two");
    }
    let resumption = scalar::time_or_none(
        "resumption time",
        tls.resumption.as_ref(),
        Duration::from_secs(1)..=RESUMPTION_MAX,
        Some(RESUMPTION_DEFAULT),
        cx.report,
    );
    let early_data = tls.early_data.as_ref().is_some_and(|it| it.value);
    let early_at = tls.early_data.as_ref().map_or(file.at, |it| it.at);
    if early_data && version_max < TlsVersion::V1_3 {
        cx.report.error(early_at, "0-RTT data without TLS 1.3", "let `version_max` be 1.3");
    } else if early_data && resumption.is_none() {
        let hint = "0-RTT data comes with a resumed session: let sessions be resumed";
        cx.report.error(early_at, "0-RTT data without resumption", hint);
    }
    let suites = super::list(tls.cipher_suites.as_ref());
    ListenerTls {
        certificates: certificates.into_iter().map(|name| name.value).collect(),
        version_min,
        version_max,
        cipher_suites: cipher_suites(suites, version_min, version_max, cx),
        client: tls.client.as_ref().map(|client| client_auth(client, cx)),
        resumption: resumption.unwrap_or_default(),
        early_data,
    }
}

const fn version(version: schema::TlsVersion) -> TlsVersion {
    match version {
        schema::TlsVersion::V1_2 => TlsVersion::V1_2,
        schema::TlsVersion::V1_3 => TlsVersion::V1_3,
    }
}

fn cipher_suites(
    list: &[Located<String>],
    version_min: TlsVersion,
    version_max: TlsVersion,
    cx: &mut Context<'_>,
) -> Vec<String> {
    let known = known_suites();
    let names: Vec<String> = known.keys().cloned().collect();
    let mut places = std::collections::HashMap::new();
    let mut suites = Vec::new();
    for text in list {
        let name = &text.value;
        if !known.contains_key(name) {
            let hint = super::names::nearest(name, names.iter()).map_or_else(
                || format!("suites that are known here: {}", names.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            cx.report.error(text.at, format!("there is no cipher suite `{name}`"), hint);
        } else if let Some(other) = places.insert(name, text.at) {
            let message = format!("`{name}` is listed twice");
            cx.report.error(text.at, message, scalar::other_at(other));
        } else {
            suites.push(name.clone());
        }
    }
    let Some(first) = list.first().filter(|_| suites.len() == list.len()) else { return suites };
    for (version, shown) in [(TlsVersion::V1_2, "1.2"), (TlsVersion::V1_3, "1.3")] {
        let spoken = version_min <= version && version <= version_max;
        if spoken && !suites.iter().any(|name| known.get(name) == Some(&version)) {
            cx.report.error(
                first.at,
                format!("no cipher suite of TLS {shown} is listed, but the version is spoken"),
                "list one, or leave the version out by `version_min` or `version_max`",
            );
        }
    }
    suites
}

/// Suites by their IANA names, with the version they belong to.
fn known_suites() -> BTreeMap<String, TlsVersion> {
    let suites = aws_lc_rs::ALL_CIPHER_SUITES.iter();
    let suites = suites.map(|suite| {
        let version = if suite.tls13().is_some() { TlsVersion::V1_3 } else { TlsVersion::V1_2 };
        (iana_name(suite.suite()), version)
    });
    suites.collect()
}

/// rustls writes TLS 1.3's suites with a prefix of its own.
fn iana_name(suite: CipherSuite) -> String {
    let name = format!("{suite:?}");
    name.strip_prefix("TLS13_").map_or_else(|| name.clone(), |rest| format!("TLS_{rest}"))
}

fn client_auth(file: &schema::ClientAuth, cx: &mut Context<'_>) -> ClientAuth {
    ClientAuth {
        authorities: cx.authorities(&file.authorities).unwrap_or_default(),
        mode: match file.mode {
            None | Some(schema::ClientAuthMode::Required) => ClientAuthMode::Required,
            Some(schema::ClientAuthMode::Optional) => ClientAuthMode::Optional,
            Some(schema::ClientAuthMode::InsecureFallback) => ClientAuthMode::InsecureFallback,
        },
    }
}

/// TLS towards endpoints: `system`, `insecure`, `none` or a mapping.
pub(super) fn upstream(
    file: &Located<schema::TextOr<schema::UpstreamTls>>,
    cx: &mut Context<'_>,
) -> Option<UpstreamTls> {
    let plain = |verify| {
        let (server_name, certificate) = (None, None);
        Some(UpstreamTls { server_name, verify, subject_alt_names: Vec::new(), certificate })
    };
    match &file.value {
        schema::TextOr::Full(tls) => Some(in_full(tls, file.at, cx)),
        schema::TextOr::Text(text) => match text.as_str() {
            "system" => plain(Verify::System),
            "insecure" => plain(Verify::Insecure),
            scalar::NONE => None,
            other => {
                let hint = "`system`, `insecure` or `none`; or a mapping with `authorities`, \
                            `server_name`, `certificate` and so on";
                cx.report.error(file.at, format!("`{other}` is no way to speak TLS"), hint);
                None
            }
        },
    }
}

fn in_full(tls: &schema::UpstreamTls, at: Position, cx: &mut Context<'_>) -> UpstreamTls {
    let insecure = tls.verify.as_ref().is_some_and(|it| it.value == schema::Verify::Insecure);
    if let (Some(verify), Some(_)) = (&tls.verify, &tls.authorities) {
        let hint = "remove `verify`: `authorities` are trusted instead of the system's";
        cx.report.error(verify.at, "both `verify` and `authorities`", hint);
    }
    let verify = match &tls.authorities {
        Some(path) => Verify::Authorities(cx.authorities(path).unwrap_or_default()),
        None if insecure => Verify::Insecure,
        None => Verify::System,
    };
    let names = tls.subject_alt_names.as_ref();
    if let Some(names) = names.filter(|names| names.value.is_empty() || insecure) {
        let hint = "leave `subject_alt_names` out, or verify certificates and list names";
        cx.report.error(names.at, "names that nothing is compared with", hint);
    }
    let names = names.map_or(&[][..], |names| &names.value);
    let subject_alt_names: Vec<_> = names.iter().filter_map(|name| alt_name(name, cx)).collect();
    let server_name = tls.server_name.as_ref().and_then(|name| cx.host_name(name));
    if !subject_alt_names.is_empty() && tls.server_name.is_none() {
        let hint = "endpoints choose their certificate by `server_name`: add it";
        cx.report.warning(at, "names are verified, but none is sent", hint);
    }
    let certificate = tls.certificate.as_ref();
    let certificate = certificate.filter(|name| cx.refers(Kind::Certificate, name));
    UpstreamTls {
        server_name,
        verify,
        subject_alt_names,
        certificate: certificate.map(|name| name.value.clone()),
    }
}

fn alt_name(file: &schema::AltName, cx: &mut Context<'_>) -> Option<SubjectAltName> {
    match file {
        schema::AltName::Dns(text) => match cx.host_pattern(text)? {
            HostPattern::Any => {
                let hint = "write a name, or `*.` and a name";
                cx.report.error(text.at, "`*` is not a DNS name", hint);
                None
            }
            pattern => Some(SubjectAltName::Dns(pattern.to_string())),
        },
        schema::AltName::Uri(text) => {
            let uri = &text.value;
            if uri.split_once(':').is_none() || !uri.bytes().all(|byte| byte.is_ascii_graphic()) {
                let hint = "write a scheme and the rest, like `spiffe://cluster.local/ns/a/sa/b`";
                cx.report.error(text.at, format!("`{uri}` is not a URI"), hint);
                return None;
            }
            Some(SubjectAltName::Uri(uri.clone()))
        }
    }
}
