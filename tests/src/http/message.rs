//! HTTP/1 messages as a strict reader takes them (RFC 9112). Written apart from the product, so that
//! the two can disagree.

/// How the end of a body was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// `Content-Length`.
    Length,
    /// Chunks.
    Chunked,
}

/// A request's head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHead {
    /// Method.
    pub method: String,
    /// Target as it was sent.
    pub target: String,
    /// Whether it is HTTP/1.0.
    pub is_http10: bool,
    /// How its body's end is told.
    pub framing: Framing,
    /// Length of a body that is framed so.
    pub length: usize,
    /// Whether the connection ends with it.
    pub closes: bool,
}

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Target as it was sent.
    pub target: String,
    /// Whether it is HTTP/1.0.
    pub is_http10: bool,
    /// How its body's end was told.
    pub framing: Framing,
    /// Its body, without chunks.
    pub body: Vec<u8>,
    /// Whether the connection ends with it.
    pub closes: bool,
}

/// A complete response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status.
    pub status: u16,
    /// Its body, without chunks.
    pub body: Vec<u8>,
    /// Whether the connection ends with it.
    pub closes: bool,
}

/// What was read of a kind of message, and its length in bytes; `None` if more has to come.
pub type Read<T> = Result<Option<(T, usize)>, String>;

/// Longest head that is read.
const HEAD_BYTES_MAX: usize = 1 << 20;

/// The request that `bytes` begin with. Errors: what is wrong with it.
pub fn request(bytes: &[u8]) -> Read<Request> {
    let Some((head, length)) = request_head(bytes)? else { return Ok(None) };
    let rest = bytes.get(length..).unwrap_or_default();
    let Some((body, body_bytes)) = body(rest, head.framing, head.length)? else { return Ok(None) };
    let RequestHead { method, target, is_http10, framing, closes, .. } = head;
    let request = Request { method, target, is_http10, framing, body, closes };
    Ok(Some((request, length + body_bytes)))
}

/// The head of a request that `bytes` begin with. Errors: what is wrong with it.
pub fn request_head(bytes: &[u8]) -> Read<RequestHead> {
    let Some((line, fields, length)) = head(bytes)? else { return Ok(None) };
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(format!("request line {line:?}"));
    };
    if method.is_empty() || !method.bytes().all(is_token_byte) {
        return Err(format!("method {method:?}"));
    }
    if !is_target(method, target) {
        return Err(format!("target {target:?}"));
    }
    let is_http10 = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return Err(format!("version {version:?}")),
    };
    let hosts = fields.all("host").count();
    if hosts > 1 || (hosts == 0 && !is_http10) {
        return Err(format!("{hosts} Host fields"));
    }
    let (framing, body_bytes) = fields.framing()?;
    if is_http10 && framing == Framing::Chunked {
        return Err("chunks in HTTP/1.0".to_owned());
    }
    let head = RequestHead {
        method: method.to_owned(),
        target: target.to_owned(),
        is_http10,
        framing,
        length: body_bytes,
        closes: fields.closes(is_http10),
    };
    Ok(Some((head, length)))
}

/// The response that `bytes` begin with; `is_bare` if it has no body whatever its head says (to
/// HEAD). One whose end is that of the connection counts as complete. Errors: what is wrong with it.
pub fn response(bytes: &[u8], is_bare: bool) -> Read<Response> {
    let Some((line, fields, length)) = head(bytes)? else { return Ok(None) };
    let version = line.get(..9).unwrap_or_default();
    let status =
        line.get(9..12).and_then(|it| it.parse().ok()).filter(|it| (100..600).contains(it));
    let (true, Some(status)) = (version.starts_with("HTTP/1.") && version.ends_with(' '), status)
    else {
        return Err(format!("status line {line:?}"));
    };
    let (framing, body_bytes) = fields.framing()?;
    let rest = bytes.get(length..).unwrap_or_default();
    let closes = fields.closes(version == "HTTP/1.0 ");
    if is_bare || status < 200 || matches!(status, 204 | 304) {
        return Ok(Some((Response { status, body: Vec::new(), closes }, length)));
    }
    if framing == Framing::None {
        return Ok(Some((Response { status, body: rest.to_vec(), closes: true }, bytes.len())));
    }
    let Some((body, body_bytes)) = body(rest, framing, body_bytes)? else { return Ok(None) };
    Ok(Some((Response { status, body, closes }, length + body_bytes)))
}

/// First line, fields, and the length of both with the empty line.
fn head(bytes: &[u8]) -> Result<Option<(String, Fields, usize)>, String> {
    let Some(end) = bytes.windows(4).position(|it| it == b"\r\n\r\n") else {
        let has_bare_end = bytes.windows(2).any(|it| it[1] == b'\n' && it[0] != b'\r');
        let is_too_long = bytes.len() > HEAD_BYTES_MAX;
        return if has_bare_end || is_too_long {
            Err("no end of head".to_owned())
        } else {
            Ok(None)
        };
    };
    let mut lines = Vec::new();
    for line in split_lines(&bytes[..end]) {
        if let Some(odd) = line.iter().find(|it| matches!(it, b'\r' | b'\n' | 0)) {
            return Err(format!("byte {odd:#x} in a line"));
        }
        lines.push(line);
    }
    let first = lines.first().map(|it| String::from_utf8_lossy(it).into_owned());
    let mut fields = Vec::new();
    for line in lines.iter().skip(1) {
        let colon = line.iter().position(|it| *it == b':');
        let (name, value) = line.split_at(colon.unwrap_or(0));
        if name.is_empty() || !name.iter().copied().all(is_token_byte) {
            return Err(format!("field {:?}", String::from_utf8_lossy(line)));
        }
        let name = String::from_utf8_lossy(name).to_ascii_lowercase();
        let value = String::from_utf8_lossy(&value[1..]).trim_matches([' ', '\t']).to_owned();
        fields.push((name, value));
    }
    Ok(Some((first.unwrap_or_default(), Fields(fields), end + 4)))
}

/// Lines between CRLFs.
fn split_lines(bytes: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let mut rest = bytes;
    while let Some(at) = rest.windows(2).position(|it| it == b"\r\n") {
        lines.push(&rest[..at]);
        rest = &rest[at + 2..];
    }
    lines.push(rest);
    lines
}

/// A header section: names in lower case, and values.
struct Fields(Vec<(String, String)>);

impl Fields {
    fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(it, _)| it == name).map(|(_, value)| value.as_str())
    }

    fn framing(&self) -> Result<(Framing, usize), String> {
        let codings: Vec<_> = self.all("transfer-encoding").collect();
        let lengths: Vec<_> = self.all("content-length").collect();
        match (&*codings, &*lengths) {
            ([], []) => Ok((Framing::None, 0)),
            ([], [length])
                if !length.is_empty() && length.bytes().all(|it| it.is_ascii_digit()) =>
            {
                let parsed = length.parse().map_err(|_| format!("Content-Length {length}"))?;
                Ok((Framing::Length, parsed))
            }
            ([coding], []) if coding.eq_ignore_ascii_case("chunked") => Ok((Framing::Chunked, 0)),
            _ => Err(format!("framed by {codings:?} and {lengths:?}")),
        }
    }

    fn closes(&self, is_http10: bool) -> bool {
        let has = |option: &str| {
            self.all("connection")
                .flat_map(|it| it.split(','))
                .any(|it| it.trim().eq_ignore_ascii_case(option))
        };
        has("close") || (is_http10 && !has("keep-alive"))
    }
}

/// The body that `bytes` begin with, and its length there.
pub fn body(bytes: &[u8], framing: Framing, length: usize) -> Read<Vec<u8>> {
    match framing {
        Framing::None => Ok(Some((Vec::new(), 0))),
        Framing::Length => Ok(bytes.get(..length).map(|it| (it.to_vec(), length))),
        Framing::Chunked => chunks(bytes),
    }
}

fn chunks(bytes: &[u8]) -> Read<Vec<u8>> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let Some((line, length)) = line(&bytes[at..])? else { return Ok(None) };
        at += length;
        let digits = line.split(';').next().unwrap_or_default();
        let is_hex =
            (1..=15).contains(&digits.len()) && digits.bytes().all(|it| it.is_ascii_hexdigit());
        let size = usize::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let size = size.ok_or_else(|| format!("chunk size {line:?}"))?;
        if size == 0 {
            break;
        }
        let Some(data) = bytes.get(at..at + size + 2) else { return Ok(None) };
        let Some(data) = data.strip_suffix(b"\r\n") else {
            return Err("no line end behind a chunk".to_owned());
        };
        body.extend_from_slice(data);
        at += size + 2;
    }
    loop {
        let Some((line, length)) = line(&bytes[at..])? else { return Ok(None) };
        at += length;
        if line.is_empty() {
            return Ok(Some((body, at)));
        }
        let name = line.split_once(':').map_or("", |(name, _)| name);
        if name.is_empty() || !name.bytes().all(is_token_byte) {
            return Err(format!("trailer {line:?}"));
        }
    }
}

/// The line that `bytes` begin with, and its length with its end.
fn line(bytes: &[u8]) -> Read<String> {
    let Some(end) = bytes.iter().position(|it| *it == b'\n') else { return Ok(None) };
    let line = bytes[..end].strip_suffix(b"\r").ok_or("a bare line feed")?;
    if line.iter().any(|it| matches!(it, b'\r' | 0)) {
        return Err("an odd byte in a line".to_owned());
    }
    Ok(Some((String::from_utf8_lossy(line).into_owned(), end + 1)))
}

/// RFC 9110, section 5.6.2.
const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// RFC 9112, section 3.2, of which absolute form is left out: no gateway needs it.
fn is_target(method: &str, target: &str) -> bool {
    let is_clean = target.bytes().all(|it| (0x21..0x7f).contains(&it) && it != b'#');
    is_clean
        && (target.starts_with('/')
            || (method == "OPTIONS" && target == "*")
            || target.starts_with("http://")
            || method == "CONNECT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_they_should() {
        let rows = [
            ("GET /a HTTP/1.1\r\nHost: a\r\n\r\nrest", "", "rest"),
            ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcrest", "abc", "rest"),
            (
                "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                 3;x\r\nabc\r\n0\r\nX: y\r\n\r\nrest",
                "abc",
                "rest",
            ),
        ];
        for (bytes, body, rest) in rows {
            let (read, length) = request(bytes.as_bytes()).unwrap().unwrap();
            assert_eq!((&*read.body, &bytes[length..]), (body.as_bytes(), rest));
            assert_eq!(request(&bytes.as_bytes()[..length - 1]), Ok(None), "{bytes}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_wrong() {
        let fields = [
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
            "Content-Length: 3\r\nContent-Length: 3\r\n",
            "Transfer-Encoding: chunked, identity\r\n",
            "X : a\r\n",
            " X: a\r\n",
            "X: a\nY: b\r\n",
            "X: a\rY: b\r\n",
            "X: \0\r\n",
            "Host: b\r\n",
        ];
        for fields in fields {
            let bytes = format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\nabc");
            assert!(request(bytes.as_bytes()).is_err(), "{fields:?}");
        }
    }
}
