//! What many measurements of one thing say.

/// The spread of one value over the rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Spread {
    /// The middle value.
    pub median: f64,
    /// A quarter of the rounds lies below.
    pub quarter_low: f64,
    /// A quarter of the rounds lies above.
    pub quarter_high: f64,
    /// The lowest value.
    pub min: f64,
    /// The highest value.
    pub max: f64,
}

impl Spread {
    /// The spread of `value` over the rounds; all zero without rounds.
    pub fn of<R>(rounds: &[R], value: impl Fn(&R) -> f64) -> Self {
        let mut values: Vec<_> = rounds.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        let last = values.len().saturating_sub(1);
        let at = |index: usize| values.get(index).copied().unwrap_or_default();
        Self {
            // Between the two middle values if there are two.
            median: f64::midpoint(at(last / 2), at(last.div_ceil(2))),
            quarter_low: at(last / 4),
            quarter_high: at(last - last / 4),
            min: at(0),
            max: at(last),
        }
    }
}
