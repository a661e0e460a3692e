//! Heads of requests (RFC 9112, sections 3 and 5).

use super::{
    Framing,
    head::{Scan, mark_fields},
};
use crate::http::{
    Body, Fields, Known, Method, Reason, Request, Scheme, Version,
    fields::Slice,
    guard::{self, Mere},
    method::is_token_byte,
    words,
};
use std::borrow::Cow;

/// What filters may add before the buffer of a head has to grow, bytes.
const HEADROOM_BYTES: usize = 256;

/// A request's head, and how its body comes.
#[derive(Debug, Default)]
pub struct RequestHead {
    /// The request, without body. Its authority is empty if an HTTP/1.0 client told none.
    pub request: Request,
    /// How the body's end is known; never [`Framing::Close`].
    pub framing: Framing,
    /// The client wants to use the connection again.
    pub keeps_alive: bool,
    /// The client waits for `100 Continue` before it sends the body.
    pub expects_continue: bool,
}

/// Limits of a head.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes, with the first line and the empty one.
    pub bytes_max: usize,
    /// Fields.
    pub fields_max: usize,
}

/// Finds heads in what arrives.
#[derive(Debug, Default)]
pub struct RequestReader {
    scan: Scan,
    skipped_bytes: usize,
    is_line_checked: bool,
}

impl RequestReader {
    /// Reads the head that `bytes` begin with into `head`. The length of it and of the empty line that
    /// may stand before it (RFC 9112, section 2.2); `None` if it is not complete. Until then `bytes` begin as they
    /// did before, and afterwards with what comes behind the head.
    ///
    /// # Errors
    /// Why the request is refused; nothing that follows can be trusted.
    pub fn next(
        &mut self,
        bytes: &[u8],
        limits: Limits,
        head: &mut RequestHead,
    ) -> Result<Option<usize>, Reason> {
        if self.skipped_bytes == 0 && bytes.starts_with(b"\r\n") {
            self.skipped_bytes = 2;
        }
        let bytes = bytes.get(self.skipped_bytes..).unwrap_or_default();
        match bytes {
            [] => return Ok(None),
            [b'\r'] if self.skipped_bytes == 0 => return Ok(None),
            [first, ..] if !is_token_byte(*first) => return Err(Reason::Malformed),
            _ => {}
        }
        // What is behind the limit decides nothing: it may not be there yet.
        let within = bytes.get(..limits.bytes_max).unwrap_or(bytes);
        // Most are whole when they are looked at first. What is not, or is wrong, is looked at closely.
        if self.scan.is_new()
            && let Ok(length) = parse(within, limits.fields_max, head)
        {
            let length = self.skipped_bytes + length;
            *self = Self::default();
            return Ok(Some(length));
        }
        let end = match self.scan.end(within) {
            Ok(end) => end,
            Err(reason) => return Err(self.line_first(within, reason)),
        };
        let Some(text) = end.and_then(|end| bytes.get(..end)) else {
            if within.len() == bytes.len() {
                // A line that is wrong already needs no fields to be refused.
                self.check_line(bytes)?;
                return Ok(None);
            }
            let is_line = self.scan.is_in_first_line();
            let reason = if is_line { Reason::TargetTooLong } else { Reason::HeaderTooLarge };
            return Err(self.line_first(within, reason));
        };
        let length = self.skipped_bytes + text.len();
        *self = Self::default();
        parse(text, limits.fields_max, head)?;
        Ok(Some(length))
    }

    /// What is wrong with a line comes before what is wrong behind it, however both arrive.
    fn line_first(&mut self, bytes: &[u8], reason: Reason) -> Reason {
        self.check_line(bytes).err().unwrap_or(reason)
    }

    /// Refuses a line that is complete and wrong.
    fn check_line(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        if !self.is_line_checked && !self.scan.is_in_first_line() {
            self.is_line_checked = true;
            Line::parse(bytes)?;
        }
        Ok(())
    }
}

/// The authority that a target names, if it does, and the target in origin form.
type Forms<'a> = (Option<&'a [u8]>, Cow<'a, [u8]>);

/// A request line's parts.
struct Line<'a> {
    method: Method,
    target: &'a [u8],
    target_at: usize,
    version: Version,
    length: usize,
}

impl<'a> Line<'a> {
    /// The line that `head` begins with; it ends with CRLF.
    fn parse(head: &'a [u8]) -> Result<Self, Reason> {
        let (method, rest) = word(head).ok_or(Reason::Malformed)?;
        let (target, rest) = word(rest).ok_or(Reason::Malformed)?;
        let target_at = method.len() + 1;
        let method = Method::parse(method).ok_or(Reason::Malformed)?;
        let version = match rest.first_chunk::<10>() {
            Some(b"HTTP/1.1\r\n") => Version::Http11,
            Some(b"HTTP/1.0\r\n") => Version::Http10,
            Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor, b'\r', b'\n'])
                if major.is_ascii_digit() && minor.is_ascii_digit() =>
            {
                return Err(Reason::VersionUnknown);
            }
            _ => return Err(Reason::Malformed),
        };
        let length = target_at + target.len() + 1 + 10;
        Ok(Self { method, target, target_at, version, length })
    }

    /// RFC 9112, section 3.2.
    fn forms(&self) -> Result<Forms<'a>, Reason> {
        match self.target {
            authority if self.method == Method::Connect => {
                guard::authority(authority)?;
                let has_port = !authority.ends_with(b"]") && authority.contains(&b':');
                let origin = Cow::Borrowed(&b"/"[..]);
                has_port.then_some((Some(authority), origin)).ok_or(Reason::Malformed)
            }
            b"*" if self.method != Method::Options => Err(Reason::Malformed),
            origin @ [b'/' | b'*', ..] => Ok((None, guard::target(origin)?)),
            absolute => {
                let rest = after_scheme(absolute).ok_or(Reason::Malformed)?;
                let end = rest.iter().position(|it| matches!(it, b'/' | b'?' | b'#'));
                let (authority, path) =
                    rest.split_at_checked(end.unwrap_or(rest.len())).unwrap_or_default();
                guard::authority(authority)?;
                let origin = match path {
                    [b'/', ..] => guard::target(path)?,
                    // Empty in absolute form means `/`, but for OPTIONS (RFC 9112, section 3.2.4).
                    [] if self.method == Method::Options => Cow::Borrowed(&b"*"[..]),
                    _ => Cow::Owned(guard::target(&[b"/", path].concat())?.into_owned()),
                };
                Ok((Some(authority), origin))
            }
        }
    }
}

/// What the fields say that are for this connection, or for whoever frames the message.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Told {
    has_host: bool,
    length: Option<u64>,
    is_chunked: bool,
    expects_continue: bool,
    closes: bool,
    keeps_alive: bool,
    wants_upgrade: bool,
    upgrade: Option<Box<str>>,
    is_for_hop: bool,
    names_others: bool,
}

/// Parses the complete head that `text` begins with; its length. It is filled where it is: a request
/// is too large to be handed around.
fn parse(text: &[u8], fields_max: usize, head: &mut RequestHead) -> Result<usize, Reason> {
    let line = Line::parse(text)?;
    let (marks, head_bytes) = mark_fields(text, line.length, fields_max)?;
    let mut bytes = Vec::with_capacity(head_bytes + HEADROOM_BYTES);
    bytes.extend_from_slice(text.get(..head_bytes).unwrap_or_default());
    let RequestHead { request, .. } = head;
    request.fields = Fields::over(bytes, marks);
    let told = Told::by(&request.fields)?;
    let (authority, target) = line.forms()?;
    let is_11 = line.version == Version::Http11;
    let framing = told.framing(&line)?;
    let host = request.fields.place(Known::Host).unwrap_or_default();
    // Checked even if the target says it once more: whoever is behind us may read this one.
    if is_11 || host.len() > 0 {
        guard::authority(request.fields.text(host))?;
    }
    let may_upgrade = is_11 && line.method == Method::Get && framing == Framing::None;
    request.upgrade = told.upgrade.filter(|_| may_upgrade && told.wants_upgrade);
    if told.names_others {
        guard::strip(&mut request.fields);
    }
    request.fields.retain(|name, _| {
        let known = name.known();
        let is_of_head = matches!(known, Known::Host | Known::ContentLength | Known::Expect);
        !(is_of_head || (told.is_for_hop && guard::is_hop_by_hop(known)))
    });
    request.method = line.method;
    request.version = line.version;
    request.scheme = Scheme::Http;
    request.body = Body::Empty;
    match target {
        Cow::Borrowed(it) if authority.is_none() && it.len() == line.target.len() => {
            let end = line.target_at + it.len();
            request.set_target_at(Slice::of(&(line.target_at..end)));
        }
        other => request.set_target(&other),
    }
    match authority {
        Some(authority) => request.set_authority(authority),
        None => request.set_authority_at(host),
    }
    head.framing = framing;
    head.keeps_alive = !told.closes && (is_11 || told.keeps_alive);
    head.expects_continue = told.expects_continue && is_11 && framing != Framing::None;
    Ok(head_bytes)
}

impl Told {
    fn by(fields: &Fields) -> Result<Self, Reason> {
        let mut told = Self::default();
        let (mut is_framed, mut upgrades, mut expectations) = (false, 0, 0);
        for (name, value) in fields.iter() {
            match name.known() {
                Known::Host if told.has_host => return Err(Reason::HostInvalid),
                Known::Host => told.has_host = true,
                Known::ContentLength => is_framed = true,
                Known::TransferEncoding if told.is_chunked => return Err(Reason::FramingAmbiguous),
                Known::TransferEncoding => {
                    transfer_coding(value)?;
                    (told.is_chunked, told.is_for_hop) = (true, true);
                }
                Known::Connection => told.option(value),
                Known::Upgrade => {
                    upgrades += 1;
                    told.upgrade = if upgrades == 1 { protocol(value) } else { None };
                    told.is_for_hop = true;
                }
                Known::Expect => {
                    expectations += 1;
                    if expectations > 1 || !value.eq_ignore_ascii_case(b"100-continue") {
                        return Err(Reason::ExpectationUnknown);
                    }
                    told.expects_continue = true;
                }
                Known::KeepAlive | Known::ProxyConnection | Known::Te | Known::Http2Settings => {
                    told.is_for_hop = true;
                }
                _ => {}
            }
        }
        if is_framed {
            told.length = guard::content_length(fields.all(Known::ContentLength))?;
        }
        Ok(told)
    }

    fn option(&mut self, value: &[u8]) {
        self.is_for_hop = true;
        for option in guard::options(value) {
            match Mere::of(option) {
                Some(Mere::Close) => self.closes = true,
                Some(Mere::KeepAlive) => self.keeps_alive = true,
                Some(Mere::Upgrade) => self.wants_upgrade = true,
                None => self.names_others = true,
            }
        }
    }

    /// RFC 9112, section 6.3, without what it lets a server repair.
    fn framing(&self, line: &Line<'_>) -> Result<Framing, Reason> {
        let is_framed = self.is_chunked || self.length.is_some();
        match (self.is_chunked, self.length) {
            (true, Some(_)) => Err(Reason::FramingAmbiguous),
            (true, None) if line.version == Version::Http10 => Err(Reason::FramingAmbiguous),
            // What follows the head of a CONNECT is the tunnel's.
            _ if is_framed && line.method == Method::Connect => Err(Reason::FramingAmbiguous),
            (true, None) => Ok(Framing::Chunked),
            (false, Some(0) | None) => Ok(Framing::None),
            (false, Some(length)) => Ok(Framing::Length(length)),
        }
    }
}

/// `chunked` alone is spoken (RFC 9112, section 6.1).
fn transfer_coding(value: &[u8]) -> Result<(), Reason> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(());
    }
    let mut codings = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).rev();
    let is_chunked = |coding: &[u8]| coding.eq_ignore_ascii_case(b"chunked");
    let is_framed = codings.next().is_some_and(is_chunked);
    let is_other = |it: &[u8]| guard::field_name(it).is_ok() && !is_chunked(it);
    let is_known_to_some = is_framed && codings.all(is_other);
    Err(if is_known_to_some { Reason::TransferCodingUnknown } else { Reason::FramingAmbiguous })
}

/// The one protocol that an `Upgrade` asks for, lower case. `h2c` is none: HTTP/2 comes with prior
/// knowledge (RFC 9113, section 3.1).
fn protocol(value: &[u8]) -> Option<Box<str>> {
    let is_name = |byte: &u8| is_token_byte(*byte) || *byte == b'/';
    let is_one = !value.is_empty() && value.iter().all(is_name);
    let text = str::from_utf8(value).ok().filter(|_| is_one)?.to_ascii_lowercase();
    (text != "h2c").then(|| text.into())
}

/// A word, and what follows the space behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (word, rest) = text.split_at_checked(words::word_bytes(text))?;
    Some((word, rest.strip_prefix(b" ")?))
}

/// What follows `http://` or `https://`.
fn after_scheme(target: &[u8]) -> Option<&[u8]> {
    let after = |scheme: &[u8]| {
        let (start, rest) = target.split_at_checked(scheme.len())?;
        start.eq_ignore_ascii_case(scheme).then_some(rest)
    };
    after(b"http://").or_else(|| after(b"https://"))
}
