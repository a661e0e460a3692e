//! What goes wrong with an API server.

/// What goes wrong with an API server for now. Shares are of 256.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// Connections are refused, and those that are open break.
    pub(crate) is_down: bool,
    /// Requests that fail.
    pub(crate) failing: u8,
    /// Requests that are never answered.
    pub(crate) hanging: u8,
    /// Events that their watch ends at.
    pub(crate) ending: u8,
    /// Events that are told twice.
    pub(crate) doubling: u8,
    /// Bookmarks that are not told.
    pub(crate) lost_bookmarks: u8,
    /// Events after which their watch says nothing more, and does not end.
    pub(crate) silent: u8,
    /// Pages of lists that are expired when they are asked for.
    pub(crate) expiring: u8,
    /// Writes that find the object changed.
    pub(crate) conflicting: u8,
    /// Answers and events are late by up to so many milliseconds, each by itself: kinds overtake
    /// each other.
    pub(crate) late_ms: u64,
    /// Objects of a page; 0 = as many as are asked for.
    pub(crate) page: usize,
}

impl Faults {
    /// Some of them.
    pub(crate) fn any(rng: &mut fastrand::Rng) -> Self {
        let mut share =
            |chance: u8, most: u8| if rng.u8(..) < chance { rng.u8(..=most) } else { 0 };
        Self {
            is_down: share(40, 1) > 0,
            failing: share(100, 120),
            hanging: share(30, 20),
            ending: share(120, 130),
            doubling: share(100, 120),
            lost_bookmarks: share(80, 255),
            silent: share(25, 30),
            expiring: share(100, 200),
            conflicting: share(100, 200),
            late_ms: share(200, 60).into(),
            page: share(120, 3).into(),
        }
    }
}

/// Whether what a share of 256 befalls happens now.
pub(crate) fn happens(share: u8, rng: &mut fastrand::Rng) -> bool {
    share > 0 && rng.u8(..) < share
}
