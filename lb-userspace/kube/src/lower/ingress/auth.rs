//! Who may ask: `auth-type: basic`, `auth-url`.

use super::{filters::Url, offer::Source};
use crate::{
    ObjectKey,
    api::BackendRef,
    lower::{draft::Draft, upstream::Wanted},
};
use lb_model::{
    BasicAuth, Endpoint, EndpointAddress, ExternalAuth, Filters, HostPattern, Secret, Shared,
    Upstream, UpstreamProtocol, UpstreamTls, Verify,
};
use std::{collections::BTreeMap, time::Duration};

/// How long the service that is asked may take (nginx, `proxy_read_timeout`: 60 s; nobody waits
/// for that before their request is even sent).
const TIMEOUT: Duration = Duration::from_secs(5);

/// Key of the Secret's data with what `htpasswd` wrote (ingress-nginx, `auth-file`).
const FILE: &str = "auth";

/// Puts in who is asked. What cannot be asked refuses everyone: nobody is let in by mistake.
pub(super) fn apply(draft: &mut Draft<'_>, source: &mut Source<'_>, filters: &mut Filters) {
    if let Some(kind) = source.wishes.text("auth-type").map(ToOwned::to_owned) {
        if kind != "basic" {
            source.wishes.refuse("auth-type", format!("{kind} is not known: nobody is let in"));
        }
        filters.basic_auth = Some(basic(draft, source));
    }
    if source.wishes.text("auth-url").is_some() {
        filters.auth = Some(external(draft, source));
    }
}

fn basic(draft: &Draft<'_>, source: &mut Source<'_>) -> BasicAuth {
    let realm = source.wishes.text("auth-realm").unwrap_or("Authentication Required").to_owned();
    let users = users(draft, source).unwrap_or_else(|why| {
        source.problems.push(format!("auth-secret: {why}: nobody is let in"));
        BTreeMap::new()
    });
    BasicAuth { realm, users }
}

fn users(draft: &Draft<'_>, source: &Source<'_>) -> Result<BTreeMap<String, Secret>, String> {
    let text = source.wishes.text("auth-secret").ok_or("it is missing")?;
    let key = ObjectKey::parse(text, &source.key.namespace);
    if key.namespace != source.key.namespace {
        return Err("a Secret of another namespace is not read".to_owned());
    }
    let mut clusters = source.clusters.iter().filter_map(|it| draft.cluster(*it));
    let secret = clusters.find_map(|it| it.objects.secrets.get(&key));
    let secret = secret.ok_or_else(|| format!("Secret {key} is not there"))?;
    let data = secret.data.as_ref();
    if source.wishes.text("auth-secret-type") == Some("auth-map") {
        let entries = data.into_iter().flatten();
        return Ok(entries
            .map(|(user, hash)| (user.clone(), Secret::new(hash.0.clone())))
            .collect());
    }
    let file = data.and_then(|it| it.get(FILE)).ok_or_else(|| format!("it has no {FILE}"))?;
    let text = String::from_utf8_lossy(&file.0);
    let lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    Ok(lines.map(|(user, hash)| (user.to_owned(), Secret::new(hash.as_bytes()))).collect())
}

fn external(draft: &mut Draft<'_>, source: &mut Source<'_>) -> ExternalAuth {
    let url = source.wishes.parsed("auth-url", Url::parse);
    let upstream = match &url {
        Some(url) => asked(draft, source, url),
        None => Err("it is no URL".to_owned()),
    };
    let upstream = upstream.unwrap_or_else(|why| {
        source.problems.push(format!("auth-url: {why}: nobody is let in"));
        nobody(draft)
    });
    let response = source.wishes.list("auth-response-headers").unwrap_or_default();
    let lower = |it: &str| it.to_ascii_lowercase();
    ExternalAuth {
        upstream,
        host: url.as_ref().map(|it| it.host.clone()),
        path_prefix: url.map_or_else(|| "/".to_owned(), |it| it.path),
        appends_path: false,
        method: Some(source.wishes.text("auth-method").unwrap_or("GET").to_owned()),
        request_headers: ["cookie", "authorization"].map(lower).into_iter().collect(),
        upstream_headers: response.iter().map(|it| lower(it)).collect(),
        client_headers: std::iter::once(lower("set-cookie")).collect(),
        timeout: TIMEOUT,
        status_on_error: 500,
        login: source.wishes.text("auth-signin").map(login),
    }
}

/// The upstream for the host of a URL: a Service by its name in the cluster, or a name outside.
fn asked(draft: &mut Draft<'_>, source: &Source<'_>, url: &Url) -> Result<String, String> {
    let is_secure = url.scheme == "https";
    let port = url.port.unwrap_or(if is_secure { 443 } else { 80 });
    let mut labels = url.host.split('.');
    let (name, namespace, kind) = (labels.next(), labels.next(), labels.next());
    let in_cluster = kind == Some("svc");
    if let (Some(name), Some(namespace), true) = (name, namespace, in_cluster) {
        let backend = BackendRef {
            name: name.to_owned(),
            namespace: Some(namespace.to_owned()),
            port: Some(port),
            ..BackendRef::default()
        };
        let wanted = Wanted {
            clusters: &source.clusters,
            referrer: ("networking.k8s.io", "Ingress"),
            // Any pod can ask a Service by its name: asking is no right that a grant would give.
            namespace,
            backend: &backend,
            protocol: UpstreamProtocol::Auto,
            is_stream: false,
            client_certificate: None,
            ancestors: &[],
        };
        let upstream = draft.upstream(&wanted).map_err(|it| it.to_string())?;
        return Ok(if is_secure { secure(draft, &upstream) } else { upstream });
    }
    let allowed = &draft.world.options.external_names;
    if !allowed.iter().any(|it: &HostPattern| it.matches(&url.host)) {
        return Err(format!("{} is not among the external names that are allowed", url.host));
    }
    let name = format!("{}:{port}", url.host);
    let endpoint = Endpoint {
        address: EndpointAddress::Name(url.host.clone()),
        port,
        weight: 100,
        drain: false,
    };
    let endpoints = BTreeMap::from([(url.host.clone(), endpoint)]);
    let upstream = Upstream { endpoints, ..Upstream::default() };
    draft.desired.proxy.upstreams.get_or_insert_with(name.clone(), || upstream.into());
    Ok(if is_secure { secure(draft, &name) } else { name })
}

/// The upstream spoken to over TLS; its certificate is verified as far as it has a public name.
fn secure(draft: &mut Draft<'_>, plain: &str) -> String {
    let name = format!("{plain} +tls");
    let upstreams = &mut draft.desired.proxy.upstreams;
    if let Some(upstream) = upstreams.get(plain).map(|it| Upstream::clone(it)) {
        let verify = if plain.contains('/') { Verify::Insecure } else { Verify::System };
        let tls = UpstreamTls {
            server_name: None,
            verify,
            subject_alt_names: Vec::new(),
            certificate: None,
        };
        let secure = Upstream { tls: Some(tls), ..upstream };
        upstreams.get_or_insert_with(name.clone(), || secure.into());
    }
    name
}

/// An upstream without endpoints.
fn nobody(draft: &mut Draft<'_>) -> String {
    let name = "ingress/nobody".to_owned();
    draft.desired.proxy.upstreams.get_or_insert_with(name.clone(), Shared::default);
    name
}

/// A login page's URL with nginx's variables in it. As ingress-nginx does, it is told where to go
/// back to in `rd`, if it is not told yet.
fn login(text: &str) -> String {
    let variables = [
        ("$scheme", "{scheme}"),
        ("$http_host", "{host}"),
        ("$host", "{host}"),
        ("$escaped_request_uri", "{path}"),
        ("$request_uri", "{path}"),
    ];
    let filled = variables.iter().fold(text.to_owned(), |it, (from, to)| it.replace(from, to));
    if filled.contains("rd=") {
        return filled;
    }
    let joint = if filled.contains('?') { '&' } else { '?' };
    format!("{filled}{joint}rd={{url}}")
}
