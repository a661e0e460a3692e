//! Passwords whose hash is slow on purpose (bcrypt): they are checked beside the workers, a few
//! at once, and a good one is remembered.

use aws_lc_rs::{
    hmac::{HMAC_SHA256, Key, Tag, sign, verify},
    rand::SystemRandom,
};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;

/// A bcrypt hash, `$2y$`, `$2b$` or `$2a$`.
pub(super) struct SlowPassword {
    hash: Arc<str>,
    /// Of this process: what is remembered is good for nothing without it.
    key: Key,
    good: OnceLock<Tag>,
}

/// More passwords wait to be checked than may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Checks at once in this process: guesses must not take the time of all else.
static TURNS: Semaphore = Semaphore::const_new(2);

/// Checks under way or waiting in this process; more are refused.
static PLACES: Semaphore = Semaphore::const_new(64);

/// The slowest hash that is taken: each step doubles the time, and 14 takes about a second.
const COST_MAX: u32 = 14;

impl SlowPassword {
    /// `None` if the text is no such hash, or too slow a one.
    pub(super) fn compile(text: &[u8]) -> Option<Self> {
        let text = str::from_utf8(text).ok()?;
        let is_sound = ["$2y$", "$2b$", "$2a$"].iter().any(|it| text.starts_with(it));
        let parts = text.parse::<bcrypt::HashParts>().ok()?;
        if !is_sound || !(4..=COST_MAX).contains(&parts.get_cost()) {
            return None;
        }
        let key = Key::generate(HMAC_SHA256, &SystemRandom::new()).ok()?;
        Some(Self { hash: text.into(), key, good: OnceLock::new() })
    }

    /// Whether this is the password.
    pub(super) async fn is(&self, password: &[u8]) -> Result<bool, TooMany> {
        if self.remembers(password) {
            return Ok(true);
        }
        let place = PLACES.try_acquire().map_err(|_| TooMany)?;
        let turn = TURNS.acquire().await.map_err(|_| TooMany)?;
        if self.remembers(password) {
            return Ok(true);
        }
        let (hash, copy) = (self.hash.clone(), password.to_vec());
        let check = tokio::task::spawn_blocking(move || {
            // The check goes on if who asked goes away, and so must keep its turn.
            let _kept = (place, turn);
            bcrypt::verify(copy, &hash).unwrap_or(false)
        });
        let is_good = check.await.unwrap_or(false);
        if is_good {
            self.good.get_or_init(|| sign(&self.key, password));
        }
        Ok(is_good)
    }

    fn remembers(&self, password: &[u8]) -> bool {
        self.good.get().is_some_and(|tag| verify(&self.key, password, tag.as_ref()).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `perl -e 'print crypt("secret", "\$2y\$04\$abcdefghijklmnopqrstuu")'`.
    const HASH: &[u8] = b"$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW";

    #[tokio::test]
    async fn the_right_password_is_known_and_remembered() {
        let password = SlowPassword::compile(HASH).unwrap();
        assert_eq!(password.is(b"Secret").await, Ok(false));
        assert!(!password.remembers(b"secret"));
        assert_eq!(password.is(b"secret").await, Ok(true));
        assert!(password.remembers(b"secret") && !password.remembers(b"Secret"));
        assert_eq!(password.is(b"secret").await, Ok(true));
        assert_eq!(password.is(b"Secret").await, Ok(false));
    }

    #[test]
    fn other_and_too_slow_hashes_are_refused() {
        let slow = String::from_utf8(HASH.to_vec()).unwrap();
        for wrong in [
            slow.replace("$04$", "$15$"),
            slow.replace("$04$", "$03$"),
            slow.replace("$2y$", "$2x$"),
            slow.replace("$2y$", "$1$"),
            slow[..59].to_owned(),
            String::new(),
        ] {
            assert!(SlowPassword::compile(wrong.as_bytes()).is_none(), "{wrong}");
        }
    }
}
