//! `Vary` (RFC 9110, section 12.5.5).

use crate::http::{Fields, Known};

/// Says that a response depends on a request field, unless that is said.
pub(super) fn vary_by(fields: &mut Fields, name: Known) {
    let members = fields.all(Known::Vary).flat_map(|it| it.split(|byte| *byte == b','));
    let is_said = members
        .map(<[u8]>::trim_ascii)
        .any(|it| it == b"*" || it.eq_ignore_ascii_case(name.text().as_bytes()));
    if !is_said {
        fields.append(Known::Vary, name.text().as_bytes());
    }
}
