//! The tables that fields are numbered in (RFC 7541, section 2.3).

use crate::http::{Known, Reason, guard};
use std::collections::VecDeque;

/// What an entry costs beside its bytes (RFC 7541, section 4.1).
const ENTRY_BYTES: usize = 32;

/// A field of a block. What can be said about it at a glance was found out once, when it came in as
/// text: fields that come again come by their number.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Its name's bytes.
    pub text: &'a [u8],
    /// Its value.
    pub value: &'a [u8],
    /// What the name is.
    pub name: Name,
    /// Whether the value may stand in a message.
    pub is_valid: bool,
}

/// What a name is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the pseudo-header field that it is spelled like")]
pub enum Name {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
    /// That of a field.
    Field(Known),
    /// None that a message may have (RFC 9113, section 8.2.1).
    Wrong(Reason),
}

impl Name {
    /// Of a name as it came.
    pub fn of(text: &[u8]) -> Self {
        match text {
            b":method" => Self::Method,
            b":scheme" => Self::Scheme,
            b":authority" => Self::Authority,
            b":path" => Self::Path,
            b":protocol" => Self::Protocol,
            b":status" => Self::Status,
            _ if text.iter().any(u8::is_ascii_uppercase) => Self::Wrong(Reason::Malformed),
            _ => match guard::field_name(text) {
                Ok(()) => Self::Field(Known::of(text)),
                Err(reason) => Self::Wrong(reason),
            },
        }
    }
}

impl<'a> Header<'a> {
    /// A field that came as text.
    pub(super) fn new(text: &'a [u8], value: &'a [u8], name: Name) -> Self {
        Self { text, value, name, is_valid: guard::field_value(value).is_ok() }
    }

    fn size(&self) -> usize {
        self.text.len() + self.value.len() + ENTRY_BYTES
    }
}

/// Both tables.
#[derive(Debug)]
pub(super) struct Table {
    /// The newest is the first.
    entries: VecDeque<Entry>,
    bytes: usize,
    max: usize,
}

#[derive(Debug)]
struct Entry {
    /// Name, then value.
    text: Box<[u8]>,
    name_bytes: usize,
    name: Name,
    is_valid: bool,
}

impl Table {
    /// Of so many bytes at most.
    pub(super) fn new(max: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: 0, max }
    }

    /// The field of a number.
    pub(super) fn find(&self, index: usize) -> Option<Header<'_>> {
        if let Some((text, value, name)) = STATIC.get(index.wrapping_sub(1)) {
            let (text, value) = (text.as_bytes(), value.as_bytes());
            return Some(Header { text, value, name: *name, is_valid: true });
        }
        let entry = self.entries.get(index.checked_sub(STATIC.len() + 1)?)?;
        Some(entry.header())
    }

    /// Adds a field; the oldest go.
    pub(super) fn insert(&mut self, header: Header<'_>) {
        let size = header.size();
        self.shrink(self.max.saturating_sub(size));
        if size > self.max {
            return;
        }
        let text = [header.text, header.value].concat().into();
        let Header { name, is_valid, .. } = header;
        self.entries.push_front(Entry { text, name_bytes: header.text.len(), name, is_valid });
        self.bytes += size;
    }

    /// Another size, bytes.
    pub(super) fn resize(&mut self, max: usize) {
        self.max = max;
        self.shrink(max);
    }

    fn shrink(&mut self, bytes: usize) {
        while self.bytes > bytes {
            let Some(oldest) = self.entries.pop_back() else { return };
            self.bytes -= oldest.header().size();
        }
    }
}

impl Entry {
    fn header(&self) -> Header<'_> {
        let (text, value) = self.text.split_at_checked(self.name_bytes).unwrap_or_default();
        Header { text, value, name: self.name, is_valid: self.is_valid }
    }
}

const OTHER: Name = Name::Field(Known::Other);

/// RFC 7541, appendix A.
static STATIC: [(&str, &str, Name); 61] = [
    (":authority", "", Name::Authority),
    (":method", "GET", Name::Method),
    (":method", "POST", Name::Method),
    (":path", "/", Name::Path),
    (":path", "/index.html", Name::Path),
    (":scheme", "http", Name::Scheme),
    (":scheme", "https", Name::Scheme),
    (":status", "200", Name::Status),
    (":status", "204", Name::Status),
    (":status", "206", Name::Status),
    (":status", "304", Name::Status),
    (":status", "400", Name::Status),
    (":status", "404", Name::Status),
    (":status", "500", Name::Status),
    ("accept-charset", "", OTHER),
    ("accept-encoding", "gzip, deflate", Name::Field(Known::AcceptEncoding)),
    ("accept-language", "", OTHER),
    ("accept-ranges", "", OTHER),
    ("accept", "", Name::Field(Known::Accept)),
    ("access-control-allow-origin", "", Name::Field(Known::AccessControlAllowOrigin)),
    ("age", "", Name::Field(Known::Age)),
    ("allow", "", Name::Field(Known::Allow)),
    ("authorization", "", Name::Field(Known::Authorization)),
    ("cache-control", "", Name::Field(Known::CacheControl)),
    ("content-disposition", "", OTHER),
    ("content-encoding", "", Name::Field(Known::ContentEncoding)),
    ("content-language", "", OTHER),
    ("content-length", "", Name::Field(Known::ContentLength)),
    ("content-location", "", OTHER),
    ("content-range", "", OTHER),
    ("content-type", "", Name::Field(Known::ContentType)),
    ("cookie", "", Name::Field(Known::Cookie)),
    ("date", "", Name::Field(Known::Date)),
    ("etag", "", Name::Field(Known::Etag)),
    ("expect", "", Name::Field(Known::Expect)),
    ("expires", "", OTHER),
    ("from", "", OTHER),
    ("host", "", Name::Field(Known::Host)),
    ("if-match", "", OTHER),
    ("if-modified-since", "", OTHER),
    ("if-none-match", "", OTHER),
    ("if-range", "", OTHER),
    ("if-unmodified-since", "", OTHER),
    ("last-modified", "", Name::Field(Known::LastModified)),
    ("link", "", OTHER),
    ("location", "", Name::Field(Known::Location)),
    ("max-forwards", "", Name::Field(Known::MaxForwards)),
    ("proxy-authenticate", "", Name::Field(Known::ProxyAuthenticate)),
    ("proxy-authorization", "", Name::Field(Known::ProxyAuthorization)),
    ("range", "", Name::Field(Known::Range)),
    ("referer", "", Name::Field(Known::Referer)),
    ("refresh", "", OTHER),
    ("retry-after", "", Name::Field(Known::RetryAfter)),
    ("server", "", Name::Field(Known::Server)),
    ("set-cookie", "", Name::Field(Known::SetCookie)),
    ("strict-transport-security", "", OTHER),
    ("transfer-encoding", "", Name::Field(Known::TransferEncoding)),
    ("user-agent", "", Name::Field(Known::UserAgent)),
    ("vary", "", Name::Field(Known::Vary)),
    ("via", "", Name::Field(Known::Via)),
    ("www-authenticate", "", Name::Field(Known::WwwAuthenticate)),
];

/// The static table's number of a name; 0 = it has none.
pub(super) fn number_of(known: Known) -> usize {
    NUMBERS.get(known as usize).copied().unwrap_or_default().into()
}

/// [`number_of`] all names, by their own numbers.
static NUMBERS: [u8; 64] = {
    let mut numbers = [0; 64];
    let mut place = 0;
    #[expect(clippy::indexing_slicing, reason = "checked when it is compiled")]
    while place < STATIC.len() {
        if let Name::Field(known) = STATIC[place].2
            && !matches!(known, Known::Other)
        {
            numbers[known as usize] = place as u8 + 1;
        }
        place += 1;
    }
    numbers
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_static_table_says_what_its_text_says() {
        for (text, _, name) in STATIC {
            assert_eq!(Name::of(text.as_bytes()), name, "{text}");
        }
        assert_eq!((number_of(Known::Host), number_of(Known::Other)), (38, 0));
        assert!(Known::ALL.len() < NUMBERS.len());
    }

    #[test]
    fn the_oldest_entries_go() {
        let mut table = Table::new(100);
        let header = |text: &'static str| Header::new(text.as_bytes(), b"12345678", OTHER);
        table.insert(header("first"));
        table.insert(header("second"));
        assert_eq!(table.find(63).unwrap().text, b"first");
        table.insert(header("third"));
        assert_eq!(table.find(62).unwrap().text, b"third");
        assert_eq!(table.find(63).unwrap().text, b"second");
        assert!(table.find(64).is_none() && table.find(0).is_none());
        table.resize(50);
        assert!(table.find(63).is_none());
        // Larger than all of it: nothing is left, and that is no error (RFC 7541, section 4.4).
        table.insert(header("much-too-long-for-this"));
        assert!(table.find(62).is_none());
        assert_eq!(table.bytes, 0);
    }
}
