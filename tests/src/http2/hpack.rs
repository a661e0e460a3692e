//! Header blocks (RFC 7541) without compression: every field is a literal that is not indexed, so
//! that blocks do not depend on each other.

/// A field.
pub type Field<'a> = (&'a str, &'a str);

/// The fields of a request that any server answers.
pub const GET: [Field<'_>; 4] =
    [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];
/// As [`GET`], with a body to come.
pub const POST: [Field<'_>; 4] =
    [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "localhost")];

/// A block of these fields.
pub fn block(fields: &[Field<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        string(&mut bytes, name.as_bytes());
        string(&mut bytes, value.as_bytes());
    }
    bytes
}

/// A block of these fields and more.
pub fn block_with(fields: &[Field<'_>], more: &[Field<'_>]) -> Vec<u8> {
    [block(fields), block(more)].concat()
}

/// A field of about 4 KiB, which two servers out of three take ten times.
pub fn large_block() -> Vec<u8> {
    block(&[("x-large", &"x".repeat(4_000))])
}

/// An update of the dynamic table's size.
pub fn table_size(size: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    integer(&mut bytes, 0x20, 5, size);
    bytes
}

fn string(bytes: &mut Vec<u8>, text: &[u8]) {
    integer(bytes, 0, 7, text.len() as u32);
    bytes.extend_from_slice(text);
}

/// RFC 7541, section 5.1.
fn integer(bytes: &mut Vec<u8>, flags: u8, prefix_bits: u32, mut value: u32) {
    let max = (1 << prefix_bits) - 1;
    if value < max {
        bytes.push(flags | value as u8);
        return;
    }
    bytes.push(flags | max as u8);
    value -= max;
    while value >= 0x80 {
        bytes.push(0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes.push(value as u8);
}
