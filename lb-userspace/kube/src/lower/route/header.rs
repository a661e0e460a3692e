//! Names and values of header fields.

use super::fault::Fault;
use crate::api::{HeaderModifier, HttpHeader};
use lb_model::HeaderEdit;

/// Fields that the connection or the end of a message depends on (RFC 9110, section 7.6.1): the
/// proxy writes them itself.
const FRAMING: [&str; 10] = [
    "connection",
    "content-length",
    "expect",
    "http2-settings",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A name in lower case.
pub(super) fn name(name: &str) -> Result<String, Fault> {
    if !is_token(name) {
        return Err(Fault::value(format!("`{}` is no field name", name.escape_debug())));
    }
    Ok(name.to_ascii_lowercase())
}

/// The name, in lower case, of a field that can be changed.
pub(super) fn changeable(text: &str) -> Result<String, Fault> {
    let name = name(text)?;
    if name == "host" {
        return Err(Fault::value("`Host` is changed by a URLRewrite filter"));
    }
    if FRAMING.contains(&name.as_str()) {
        return Err(Fault::value(format!("`{text}` belongs to the connection")));
    }
    Ok(name)
}

/// Edits of fields. Of several with one name, the first counts (Gateway API, `HTTPHeader.name`).
pub(super) fn edit(modifier: &HeaderModifier) -> Result<HeaderEdit, Fault> {
    let mut remove = Vec::new();
    for field in &modifier.remove {
        remove.push(changeable(field)?);
    }
    Ok(HeaderEdit { set: fields(&modifier.set)?, add: fields(&modifier.add)?, remove })
}

/// Whether a text is a token (RFC 9110, section 5.6.2): a field name or a method.
pub(super) fn is_token(text: &str) -> bool {
    let is_sign = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_sign)
}

fn fields(all: &[HttpHeader]) -> Result<Vec<(String, String)>, Fault> {
    let mut fields: Vec<(String, String)> = Vec::new();
    for field in all {
        let name = changeable(&field.name)?;
        let value = &field.value;
        let is_plain = value.bytes().all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f));
        if !is_plain || value.trim_matches([' ', '\t']).len() != value.len() {
            return Err(Fault::value(format!("the value of `{}` is no field value", field.name)));
        }
        if !fields.iter().any(|(known, _)| *known == name) {
            fields.push((name, value.clone()));
        }
    }
    Ok(fields)
}
