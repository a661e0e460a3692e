//! What origins answer: what they saw of the request.

/// How much of a request an origin tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Echo {
    /// Method and target: it need not read the body for that.
    Line,
    /// Method, target, length and hash of the body.
    Whole,
}

impl Echo {
    /// The answer to a request; `None` if it should not have been answered yet.
    pub(super) fn of(self, method: &str, target: &str, body: Option<&[u8]>) -> Option<Vec<u8>> {
        let text = match (self, body) {
            (Self::Line, _) => format!("{method} {target}\n"),
            (Self::Whole, Some(body)) => {
                format!("{method} {target} {} {:08x}\n", body.len(), hash(body))
            }
            (Self::Whole, None) => return None,
        };
        Some(text.into_bytes())
    }
}

/// FNV-1a, 32 bits: short in every language.
pub(super) fn hash(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}
