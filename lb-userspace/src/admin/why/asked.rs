//! A request as an operator says it, checked as one from a client.

use crate::{
    admin::resource::WhyRequest,
    proxy::http::{Method, Reason, Request, Scheme, guard},
};
use hyper::Uri;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// Clients have this address unless told otherwise (RFC 5737).
const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1));

/// A request.
pub(super) struct Asked {
    /// The request itself.
    pub(super) request: Request,
    /// Its host, lower case.
    pub(super) host: String,
    /// The URL's port.
    pub(super) port: u16,
    /// Where the URL leads, if its host is an address.
    pub(super) address: Option<SocketAddr>,
    /// Who asks.
    pub(super) client: IpAddr,
}

impl Asked {
    /// Checks what an operator said.
    pub(super) fn new(wanted: &WhyRequest) -> Result<Self, String> {
        let uri: Uri = wanted.url.parse().map_err(|error| format!("{}: {error}", wanted.url))?;
        let scheme = match uri.scheme_str() {
            Some("http") => Scheme::Http,
            Some("https") => Scheme::Https,
            _ => return Err(format!("{}: give it as http://... or https://...", wanted.url)),
        };
        let place = uri.authority().ok_or_else(|| format!("{}: no host", wanted.url))?;
        let invalid = |what: &str, reason: Reason| format!("{what}: {}", reason.name());
        let host_field = wanted.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let authority = host_field.map_or(place.as_str(), |(_, value)| value);
        guard::authority(authority.as_bytes()).map_err(|it| invalid(authority, it))?;
        let target = uri.path_and_query().map_or("/", |it| it.as_str());
        let target = guard::target(target.as_bytes()).map_err(|it| invalid(&wanted.url, it))?;
        let method = Method::parse(wanted.method.as_bytes())
            .ok_or_else(|| format!("{}: no method", wanted.method))?;
        let mut request = Request::new(method, authority, "/");
        request.scheme = scheme;
        request.set_target(&target);
        for (name, value) in wanted.headers.iter().filter(|it| Some(*it) != host_field) {
            guard::field_name(name.as_bytes()).map_err(|it| invalid(name, it))?;
            guard::field_value(value.as_bytes()).map_err(|it| invalid(name, it))?;
            let name = name.to_ascii_lowercase();
            request.fields.append(name.as_str(), value.as_bytes());
        }
        let port = place.port_u16().unwrap_or_else(|| scheme.port());
        let address = place.host().trim_matches(['[', ']']).parse::<IpAddr>().ok();
        Ok(Self {
            host: String::from_utf8_lossy(request.host()).into_owned(),
            request,
            port,
            address: address.map(|it| SocketAddr::new(it, port)),
            client: wanted.from.unwrap_or(CLIENT),
        })
    }

    /// The server name that a client sends: none for an address (RFC 6066, section 3).
    pub(super) fn server_name(&self) -> Option<&str> {
        let is_address = self.host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        (self.request.scheme == Scheme::Https && !is_address).then_some(&*self.host)
    }

    /// Method and URL, as they are understood.
    pub(super) fn describe(&self) -> String {
        let text = String::from_utf8_lossy;
        let request = &self.request;
        let (authority, target) = (text(request.authority()), text(request.target()));
        format!("{} {}://{authority}{target}", request.method.as_str(), request.scheme.name())
    }
}
