//! A request, whatever version it came in.

use super::{Body, FieldName, Fields, Known, Method, fields::Slice};
use std::fmt;

/// A request. Hop-by-hop fields (RFC 9110, section 7.6.1), `Host`, `Content-Length`,
/// `Transfer-Encoding`, `Upgrade` and `Expect` are not among [`Request::fields`]: what they say is in
/// the other parts, and whoever writes a request writes them anew.
#[derive(Default)]
pub struct Request {
    /// Method. For an upgrade or an extended CONNECT (RFC 8441) it is `GET`.
    pub method: Method,
    /// Version it came in.
    pub version: Version,
    /// Scheme that the client used.
    pub scheme: Scheme,
    /// Fields, and the buffer that the target lives in.
    pub fields: Fields,
    /// Body; of a tunnel everything that the client sends after it was opened.
    pub body: Body,
    /// The protocol asked for by `Upgrade` or `:protocol`, lower case: `websocket`. The request is
    /// then a tunnel if the response is 101.
    pub upgrade: Option<Box<str>>,
    authority: Slice,
    host: Slice,
    target: Slice,
    path_bytes: u32,
}

/// HTTP versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// HTTP/1.0.
    Http10,
    /// HTTP/1.1.
    #[default]
    Http11,
    /// HTTP/2.
    Http2,
    /// HTTP/3.
    Http3,
}

impl Version {
    /// As logs write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http10 => "HTTP/1.0",
            Self::Http11 => "HTTP/1.1",
            Self::Http2 => "HTTP/2",
            Self::Http3 => "HTTP/3",
        }
    }
}

/// Schemes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// In the clear.
    #[default]
    Http,
    /// Over TLS.
    Https,
}

impl Scheme {
    /// `http` or `https`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port that is not written.
    pub const fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

impl Request {
    /// A request for `target` (path and query) at `authority` without fields or body.
    pub fn new(method: Method, authority: &str, target: &str) -> Self {
        let mut request = Self { method, ..Self::default() };
        request.set_authority(authority.as_bytes());
        request.set_target(target.as_bytes());
        request
    }

    /// Host and port as the client wrote them: `Shop.example:8080`. Not empty.
    pub fn authority(&self) -> &[u8] {
        self.fields.text(self.authority)
    }

    /// The host alone, lower case, without port and trailing dot; IPv6 addresses with brackets.
    pub fn host(&self) -> &[u8] {
        self.fields.text(self.host)
    }

    /// Path and query: `/a/b?c=d`, or `*`. Normal: see [`Request::set_target`].
    pub fn target(&self) -> &[u8] {
        self.fields.text(self.target)
    }

    /// The path: `/a/b`.
    pub fn path(&self) -> &[u8] {
        self.fields.text(self.target.part(0, self.path_bytes as usize))
    }

    /// The query without its `?`, if there is one.
    pub fn query(&self) -> Option<&[u8]> {
        let path = self.path_bytes as usize;
        let there = self.target.len() > path;
        there.then(|| self.fields.text(self.target.part(path + 1, self.target.len())))
    }

    /// Takes another host and port. The caller answers for their syntax.
    pub fn set_authority(&mut self, authority: &[u8]) {
        let authority = self.fields.store(authority);
        self.set_authority_at(authority);
    }

    /// As [`Request::set_authority`], with one that is in the fields' buffer.
    pub(super) fn set_authority_at(&mut self, authority: Slice) {
        self.authority = authority;
        let host = host_of(self.fields.text(authority));
        self.host = if host.iter().any(u8::is_ascii_uppercase) {
            let lower = host.to_ascii_lowercase();
            self.fields.store(&lower)
        } else {
            authority.part(0, host.len())
        };
    }

    /// Where [`Request::authority`] is in the fields' buffer.
    pub(crate) fn authority_place(&self) -> Slice {
        self.authority
    }

    /// Takes another path and query. The caller has made the path normal: percent-encoded
    /// unreserved characters decoded, dot segments removed (RFC 3986, section 6.2.2), so that
    /// what is matched is what is sent.
    pub fn set_target(&mut self, target: &[u8]) {
        let target = self.fields.store(target);
        self.set_target_at(target);
    }

    /// As [`Request::set_target`], with one that is in the fields' buffer.
    pub(super) fn set_target_at(&mut self, target: Slice) {
        self.target = target;
        let path = memchr::memchr(b'?', self.fields.text(target)).unwrap_or(target.len());
        self.path_bytes = u32::try_from(path).unwrap_or(u32::MAX);
    }

    /// The first value of the cookie `name` (RFC 6265, section 4.2).
    pub fn cookie(&self, name: &str) -> Option<&[u8]> {
        let pairs = self.fields.all(Known::Cookie).flat_map(|it| it.split(|byte| *byte == b';'));
        pairs.map(<[u8]>::trim_ascii).find_map(|pair| {
            let rest = pair.strip_prefix(name.as_bytes())?;
            rest.strip_prefix(b"=")
        })
    }

    /// The first value of a field.
    pub fn field<'a>(&self, name: impl Into<FieldName<'a>>) -> Option<&[u8]> {
        self.fields.first(name)
    }

    /// A copy without body, for a retry or a mirror.
    pub fn copied(&self) -> Self {
        Self {
            method: self.method.clone(),
            version: self.version,
            scheme: self.scheme,
            fields: self.fields.clone(),
            body: Body::Empty,
            upgrade: self.upgrade.clone(),
            authority: self.authority,
            host: self.host,
            target: self.target,
            path_bytes: self.path_bytes,
        }
    }
}

/// The host in `host[:port]`, without a trailing dot.
fn host_of(authority: &[u8]) -> &[u8] {
    let end = match (authority.first(), memchr::memrchr(b':', authority)) {
        (Some(b'['), _) => memchr::memchr(b']', authority).map_or(authority.len(), |it| it + 1),
        (_, Some(colon)) => colon,
        (_, None) => authority.len(),
    };
    let host = authority.get(..end).unwrap_or_default();
    host.strip_suffix(b".").unwrap_or(host)
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", &self.method)
            .field("version", &self.version)
            .field("authority", &String::from_utf8_lossy(self.authority()))
            .field("target", &String::from_utf8_lossy(self.target()))
            .field("upgrade", &self.upgrade)
            .field("fields", &self.fields)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_path_and_query_are_parts_of_what_the_client_wrote() {
        let request = Request::new(Method::Get, "Shop.Example.:8080", "/a/b?c=d?e");
        assert_eq!(request.authority(), b"Shop.Example.:8080");
        assert_eq!(request.host(), b"shop.example");
        assert_eq!(request.path(), b"/a/b");
        assert_eq!(request.query(), Some(&b"c=d?e"[..]));
        let request = Request::new(Method::Get, "[2001:DB8::1]:80", "/?");
        assert_eq!((request.host(), request.path()), (&b"[2001:db8::1]"[..], &b"/"[..]));
        assert_eq!(request.query(), Some(&b""[..]));
        let request = Request::new(Method::Get, "a", "/");
        assert_eq!((request.host(), request.query()), (&b"a"[..], None));
    }

    #[test]
    fn cookies_are_found_among_all_fields() {
        let mut request = Request::new(Method::Get, "a", "/");
        request.fields.append(Known::Cookie, b"ab=1; a=2");
        request.fields.append(Known::Cookie, b"c=3=4");
        assert_eq!(request.cookie("a"), Some(&b"2"[..]));
        assert_eq!(request.cookie("c"), Some(&b"3=4"[..]));
        assert_eq!(request.cookie("b"), None);
    }
}
