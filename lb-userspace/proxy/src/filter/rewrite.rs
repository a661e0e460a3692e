//! Path and host of the request.

use super::{
    FilterError,
    path::{NewPath, TooLong},
};
use crate::http::{Known, Request};
use lb_model::HostRewrite;
use std::net::Ipv6Addr;

/// Another path and host.
#[derive(Debug, Default)]
pub(super) struct Rewrite {
    host: Option<NewHost>,
    path: Option<NewPath>,
}

#[derive(Debug)]
enum NewHost {
    To(Box<[u8]>),
    Endpoint,
}

impl Rewrite {
    pub(super) fn compile(rewrite: &lb_model::Rewrite) -> Result<Self, FilterError> {
        let host = match &rewrite.host {
            None => None,
            Some(HostRewrite::Endpoint) => Some(NewHost::Endpoint),
            Some(HostRewrite::To(host)) if is_authority(host) => {
                Some(NewHost::To(host.as_bytes().into()))
            }
            Some(HostRewrite::To(host)) => {
                let host = host.escape_debug().to_string();
                return Err(FilterError::new(FILTER, host, "no host, with or without a port"));
            }
        };
        let path = rewrite.path.as_ref().map(|it| NewPath::compile(FILTER, it));
        Ok(Self { host, path: path.transpose()? })
    }

    pub(super) fn is_empty(&self) -> bool {
        self.host.is_none() && self.path.is_none()
    }

    /// Whether the endpoint's host takes the place of the request's.
    pub(super) fn to_endpoint(&self) -> bool {
        matches!(self.host, Some(NewHost::Endpoint))
    }

    /// Rewrites all but what needs the endpoint. Gives how many bytes of the path now stand where
    /// the prefix was.
    pub(super) fn apply(
        &self,
        request: &mut Request,
        prefix_bytes: usize,
    ) -> Result<usize, TooLong> {
        if self.host.is_some() {
            keep_host(request);
        }
        if let Some(NewHost::To(host)) = &self.host {
            request.set_authority(host);
        }
        // `OPTIONS *` is about no path.
        let path = self.path.as_ref().filter(|_| request.path().starts_with(b"/"));
        let Some(path) = path else { return Ok(prefix_bytes) };
        let mut target = path.of(request.path(), prefix_bytes)?;
        if let Some(query) = request.query() {
            target.push(b'?');
            target.extend_from_slice(query);
        }
        request.set_target(&target);
        Ok(path.prefix_bytes())
    }

    /// Rewrites what needs the endpoint.
    pub(super) fn apply_late(&self, request: &mut Request, upstream_host: &str) {
        if self.to_endpoint() && is_authority(upstream_host) {
            request.set_authority(upstream_host.as_bytes());
        }
    }
}

const FILTER: &str = "rewrite";

/// Whether a text is a host, maybe with a port (RFC 3986, section 3.2, without user and without
/// percent-encoding).
pub(super) fn is_authority(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((host, port)) if host.parse::<Ipv6Addr>().is_ok() => (host, port),
        Some(_) => return false,
        None => text.split_at(text.find(':').unwrap_or(text.len())),
    };
    let is_host =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    let has_port = |port: &str| port.parse::<u16>().is_ok_and(|it| it > 0);
    (1..=HOST_BYTES_MAX).contains(&host.len())
        && host.bytes().all(is_host)
        && (port.is_empty() || port.strip_prefix(':').is_some_and(has_port))
}

/// Bytes of a host name (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 255;

fn keep_host(request: &mut Request) {
    if !request.fields.contains(Known::XForwardedHost) {
        let authority = request.authority().to_vec();
        request.fields.set(Known::XForwardedHost, &authority);
    }
}

#[cfg(test)]
mod tests {
    use super::{super::fixture::request, *};
    use lb_model::PathRewrite;

    fn rewrite(host: Option<HostRewrite>, path: Option<PathRewrite>) -> Rewrite {
        Rewrite::compile(&lb_model::Rewrite { host, path }).unwrap()
    }

    #[test]
    fn host_and_path_change_and_the_query_stays() {
        let mut request = request();
        let host = HostRewrite::To("internal.example:81".into());
        let rewrite = rewrite(Some(host), Some(PathRewrite::Prefix("/x/y/".into())));
        assert_eq!(rewrite.apply(&mut request, 1), Ok(4));
        assert_eq!(request.authority(), b"internal.example:81");
        assert_eq!(request.host(), b"internal.example");
        assert_eq!(request.target(), b"/x/y/a?b=c");
        assert_eq!(request.path(), b"/x/y/a");
        assert_eq!(request.field(Known::XForwardedHost), Some(&b"shop.example:8080"[..]));
    }

    #[test]
    fn the_endpoints_host_comes_when_it_is_known() {
        let mut request = request();
        request.fields.append(Known::XForwardedHost, b"outer.example");
        let rewrite = rewrite(Some(HostRewrite::Endpoint), None);
        assert!(rewrite.to_endpoint());
        assert_eq!(rewrite.apply(&mut request, 0), Ok(0));
        assert_eq!(request.authority(), b"shop.example:8080");
        rewrite.apply_late(&mut request, "[2001:db8::1]:443");
        assert_eq!(request.authority(), b"[2001:db8::1]:443");
        let kept: Vec<_> = request.fields.all(Known::XForwardedHost).collect();
        assert_eq!(kept, [b"outer.example"], "what the client asked for first is kept");
    }

    #[test]
    fn hosts_that_are_none_are_refused() {
        for host in [
            "", "a b", "a/b", "user@a", "a\r\nb", ":80", "*.a", "a:b", "a:0", "a:1:2", "[a]",
            "[::1]80",
        ] {
            let rewrite =
                lb_model::Rewrite { host: Some(HostRewrite::To(host.into())), path: None };
            assert!(Rewrite::compile(&rewrite).is_err(), "{host}");
        }
    }
}
