//! The `Date` field, made once a second.

use std::{
    cell::Cell,
    time::{Duration, SystemTime},
};

thread_local! {
    static MADE: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
}

/// The time in the form that `Date` wants (RFC 9110, section 5.6.7).
pub(super) fn now() -> [u8; 29] {
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = since_epoch.as_secs();
    let (made, text) = MADE.get();
    if made == seconds {
        return text;
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let mut text = [b' '; 29];
    text.iter_mut().zip(httpdate::fmt_http_date(time).bytes()).for_each(|(to, from)| *to = from);
    MADE.set((seconds, text));
    text
}
