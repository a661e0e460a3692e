//! User and password (RFC 7617).

use super::{FilterError, template::is_field_value};
use crate::http::{Known, Reason, Request, Response};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use foldhash::quality::RandomState;
use lb_model::BasicAuth as Wanted;
use std::collections::HashMap;

/// Who may ask.
#[derive(Debug)]
pub(super) struct BasicAuth {
    challenge: Box<[u8]>,
    users: HashMap<Box<[u8]>, Password, RandomState>,
}

/// What is known of a password.
enum Password {
    Digest(&'static Algorithm, Box<[u8]>),
    /// SHA-256 of what was written in the clear.
    Plain(Box<[u8]>),
}

impl BasicAuth {
    pub(super) fn compile(wanted: &Wanted) -> Result<Self, FilterError> {
        let realm = &wanted.realm;
        if !is_field_value(realm.as_bytes()) {
            let why = "no control characters";
            return Err(FilterError::new(FILTER, realm.escape_debug().to_string(), why));
        }
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        let users = wanted.users.iter().map(|(user, secret)| {
            if user.contains(':') {
                return Err(FilterError::new(FILTER, user, "a user's name has no colon"));
            }
            // What a wrong secret holds is not told.
            let password = Password::compile(secret.expose());
            let why = "`{SHA256}`, `{SHA}` or `{PLAIN}` must stand before the password";
            let password = password.ok_or_else(|| FilterError::new(FILTER, user, why))?;
            Ok((user.as_bytes().into(), password))
        });
        Ok(Self {
            challenge: format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into_bytes().into(),
            users: users.collect::<Result<_, _>>()?,
        })
    }

    /// The refusal, if there is one.
    pub(super) fn refuse(&self, request: &Request) -> Option<Response> {
        let mut all = request.fields.all(Known::Authorization);
        let is_known = match (all.next(), all.next()) {
            (Some(value), None) => self.knows(value).unwrap_or(false),
            _ => false,
        };
        if is_known {
            return None;
        }
        let mut response = Response::refusal(Reason::BasicAuthFailed);
        response.fields.set(Known::WwwAuthenticate, &self.challenge);
        Some(response)
    }

    /// `None` if that is not how users and passwords are sent.
    fn knows(&self, authorization: &[u8]) -> Option<bool> {
        let (scheme, encoded) = authorization.split_at_checked(SCHEME.len())?;
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return None;
        }
        let decoded = STANDARD.decode(encoded.trim_ascii()).ok()?;
        let colon = memchr::memchr(b':', &decoded)?;
        let (user, password) = decoded.split_at(colon);
        let password = password.strip_prefix(b":")?;
        Some(match self.users.get(user) {
            Some(known) => known.is(password),
            None => {
                // A user that is not there takes as long as one that is.
                Password::Plain(Box::default()).is(password);
                false
            }
        })
    }
}

const FILTER: &str = "basic auth";

/// The scheme and what stands after it.
const SCHEME: &[u8] = b"basic ";

impl Password {
    fn compile(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii_end();
        if let Some(plain) = text.strip_prefix(b"{PLAIN}") {
            return Some(Self::Plain(digest(&SHA256, plain).as_ref().into()));
        }
        let (algorithm, encoded) = if let Some(encoded) = text.strip_prefix(b"{SHA256}") {
            (&SHA256, encoded)
        } else {
            // What `htpasswd -s` writes.
            (&SHA1_FOR_LEGACY_USE_ONLY, text.strip_prefix(b"{SHA}")?)
        };
        let expected = STANDARD.decode(encoded).ok()?;
        let is_whole = expected.len() == algorithm.output_len();
        is_whole.then(|| Self::Digest(algorithm, expected.into()))
    }

    /// Compares in a time that does not depend on where the two differ.
    fn is(&self, password: &[u8]) -> bool {
        let (algorithm, expected) = match self {
            Self::Digest(algorithm, expected) => (*algorithm, expected),
            Self::Plain(expected) => (&SHA256, expected),
        };
        verify_slices_are_equal(digest(algorithm, password).as_ref(), expected).is_ok()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::Method;
    use lb_model::Secret;

    fn auth(users: &[(&str, &str)]) -> Result<BasicAuth, FilterError> {
        let secret = |text: &str| Secret::new(text.as_bytes());
        let users = users.iter().map(|(user, text)| ((*user).to_owned(), secret(text)));
        BasicAuth::compile(&Wanted { realm: "the \"shop\"".into(), users: users.collect() })
    }

    fn refusal(authorization: &[&str]) -> Option<Response> {
        let auth = auth(&[
            // `printf secret | openssl dgst -sha1 -binary | base64`, and the same with sha256.
            ("one", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
            ("two", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=\n"),
            ("three", "{PLAIN}se:cret"),
        ]);
        let mut request = Request::new(Method::Get, "a", "/");
        for value in authorization {
            request.fields.append(Known::Authorization, value.as_bytes());
        }
        auth.unwrap().refuse(&request)
    }

    fn passes(scheme: &str, user_and_password: &str) -> bool {
        refusal(&[&format!("{scheme}{}", STANDARD.encode(user_and_password))]).is_none()
    }

    #[test]
    fn known_users_with_their_passwords_pass() {
        for (scheme, pair, expected) in [
            ("Basic ", "one:secret", true),
            ("basic ", "two:secret", true),
            ("BASIC   ", "three:se:cret", true),
            ("Basic ", "one:Secret", false),
            ("Basic ", "two:", false),
            ("Basic ", "three:se", false),
            ("Basic ", "nobody:secret", false),
            ("Basic ", "nobody:", false),
            ("Basic ", "one", false),
            ("Basic", "one:secret", false),
            ("Bearer ", "one:secret", false),
        ] {
            assert_eq!(passes(scheme, pair), expected, "{scheme} {pair}");
        }
        let good = format!("Basic {}", STANDARD.encode("one:secret"));
        for wrong in [&[][..], &[""], &["Basic"], &["Basic ="], &[&good, &good]] {
            assert!(refusal(wrong).is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_refusal_says_how_to_ask() {
        let refusal = refusal(&[]).unwrap();
        assert_eq!((refusal.status, refusal.reason), (401, Some(Reason::BasicAuthFailed)));
        let challenge = refusal.fields.first(Known::WwwAuthenticate).unwrap();
        assert_eq!(challenge, br#"Basic realm="the \"shop\"", charset="UTF-8""#);
    }

    #[test]
    fn formats_that_are_not_known_are_refused() {
        for text in ["secret", "{SHA}short", "{SHA}c2hvcnQ=", "$apr1$a$b", "{MD5}x", ""] {
            let error = auth(&[("one", text)]).unwrap_err();
            assert!(!error.to_string().contains("secret`"), "{error}");
        }
        assert!(auth(&[("a:b", "{PLAIN}x")]).is_err());
    }
}
