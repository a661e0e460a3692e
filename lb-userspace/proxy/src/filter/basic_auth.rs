//! User and password (RFC 7617).

use super::{
    FilterError,
    slow_password::{SlowPassword, TooMany},
    template::is_field_value,
};
use crate::http::{Fields, Known, Reason, Request, Response};
use aws_lc_rs::{
    constant_time::verify_slices_are_equal,
    digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use foldhash::quality::RandomState;
use lb_model::BasicAuth as Wanted;
use std::{collections::HashMap, sync::Arc};

/// Who may ask.
#[derive(Debug)]
pub(super) struct BasicAuth {
    challenge: Box<[u8]>,
    users: HashMap<Box<[u8]>, Password, RandomState>,
    /// Checked in place of a user that is not there, which thus takes as long as one that is.
    decoy: Option<Password>,
}

/// What is known of a password. Of one in the clear its SHA-256 is kept, so that it is compared
/// like the others.
#[derive(Clone)]
enum Password {
    Digest(&'static Algorithm, Box<[u8]>),
    Slow(Arc<SlowPassword>),
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
            let why =
                "not `{SHA256}`, `{SHA}`, `{PLAIN}` or `$2y$` (cost up to 14) with a password";
            let password = password.ok_or_else(|| FilterError::new(FILTER, user, why))?;
            Ok((user.as_bytes().into(), password))
        });
        let users = users.collect::<Result<HashMap<_, _, _>, _>>()?;
        let slow = users.values().find(|it| matches!(it, Password::Slow(_)));
        let decoy = slow.or_else(|| users.values().next()).cloned();
        let challenge = format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into_bytes().into();
        Ok(Self { challenge, users, decoy })
    }

    /// The refusal, if there is one.
    pub(super) async fn refuse(&self, request: &Request) -> Option<Response> {
        match self.knows(&request.fields).await {
            Ok(true) => None,
            Ok(false) => {
                let mut response = Response::refusal(Reason::BasicAuthFailed);
                response.fields.set(Known::WwwAuthenticate, &self.challenge);
                Some(response)
            }
            Err(TooMany) => Some(Response::refusal(Reason::Overloaded)),
        }
    }

    async fn knows(&self, fields: &Fields) -> Result<bool, TooMany> {
        let mut all = fields.all(Known::Authorization);
        let credentials = match (all.next(), all.next()) {
            (Some(value), None) => credentials(value),
            _ => None,
        };
        let Some((user, password)) = credentials else { return Ok(false) };
        let known = self.users.get(&*user);
        match known.or(self.decoy.as_ref()) {
            Some(Password::Slow(slow)) => {
                let is_right = Box::pin(slow.is(&password)).await?;
                Ok(is_right && known.is_some())
            }
            Some(Password::Digest(algorithm, expected)) => {
                // In a time that does not depend on where the two differ.
                let given = digest(algorithm, &password);
                let is_right = verify_slices_are_equal(given.as_ref(), expected).is_ok();
                Ok(is_right && known.is_some())
            }
            None => Ok(false),
        }
    }
}

/// User and password; `None` if that is not how they are sent.
fn credentials(authorization: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (scheme, encoded) = authorization.split_at_checked(SCHEME.len())?;
    if !scheme.eq_ignore_ascii_case(SCHEME) {
        return None;
    }
    let mut user = STANDARD.decode(encoded.trim_ascii()).ok()?;
    let colon = memchr::memchr(b':', &user)?;
    let password = user.split_off(colon + 1);
    user.truncate(colon);
    Some((user, password))
}

const FILTER: &str = "basic auth";

/// The scheme and what stands after it.
const SCHEME: &[u8] = b"basic ";

impl Password {
    fn compile(text: &[u8]) -> Option<Self> {
        // The end of a line in a file.
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if let Some(plain) = text.strip_prefix(b"{PLAIN}") {
            return Some(Self::Digest(&SHA256, digest(&SHA256, plain).as_ref().into()));
        }
        if text.starts_with(b"$") {
            return Some(Self::Slow(Arc::new(SlowPassword::compile(text)?)));
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

    async fn refusal(authorization: &[&str]) -> Option<Response> {
        let auth = auth(&[
            // `printf secret | openssl dgst -sha1 -binary | base64`, and the same with sha256.
            ("one", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
            ("two", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=\n"),
            ("three", "{PLAIN}se:cret"),
            ("four", "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW"),
        ]);
        let mut request = Request::new(Method::Get, "a", "/");
        for value in authorization {
            request.fields.append(Known::Authorization, value.as_bytes());
        }
        auth.unwrap().refuse(&request).await
    }

    async fn passes(scheme: &str, user_and_password: &str) -> bool {
        refusal(&[&format!("{scheme}{}", STANDARD.encode(user_and_password))]).await.is_none()
    }

    #[tokio::test]
    async fn known_users_with_their_passwords_pass() {
        for (scheme, pair, expected) in [
            ("Basic ", "one:secret", true),
            ("basic ", "two:secret", true),
            ("BASIC   ", "three:se:cret", true),
            ("Basic ", "four:secret", true),
            ("Basic ", "four:Secret", false),
            ("Basic ", "one:Secret", false),
            ("Basic ", "two:", false),
            ("Basic ", "three:se", false),
            ("Basic ", "nobody:secret", false),
            ("Basic ", "nobody:", false),
            ("Basic ", "one", false),
            ("Basic", "one:secret", false),
            ("Bearer ", "one:secret", false),
        ] {
            assert_eq!(passes(scheme, pair).await, expected, "{scheme} {pair}");
        }
        let good = format!("Basic {}", STANDARD.encode("one:secret"));
        for wrong in [&[][..], &[""], &["Basic"], &["Basic ="], &[&good, &good]] {
            assert!(refusal(wrong).await.is_some(), "{wrong:?}");
        }
    }

    #[tokio::test]
    async fn a_refusal_says_how_to_ask() {
        let refusal = refusal(&[]).await.unwrap();
        assert_eq!((refusal.status, refusal.reason), (401, Some(Reason::BasicAuthFailed)));
        let challenge = refusal.fields.first(Known::WwwAuthenticate).unwrap();
        assert_eq!(challenge, br#"Basic realm="the \"shop\"", charset="UTF-8""#);
    }

    #[test]
    fn formats_that_are_not_known_are_refused() {
        for text in
            ["secret", "{SHA}short", "{SHA}c2hvcnQ=", "$apr1$a$b", "$2y$04$short", "{MD5}x", ""]
        {
            let error = auth(&[("one", text)]).unwrap_err();
            assert!(!error.to_string().contains("secret`"), "{error}");
        }
        assert!(auth(&[("a:b", "{PLAIN}x")]).is_err());
    }
}
