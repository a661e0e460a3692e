//! Writes Prometheus' text format, version 0.0.4.

use super::families::Family;
use std::fmt::{Display, Write as _};

/// A text that grows. Samples belong to the family begun last.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
    family: Option<&'static Family>,
}

impl Text {
    /// Begins a family.
    pub(super) fn family(&mut self, family: &'static Family) {
        let Family { name, kind, help, .. } = family;
        self.family = Some(family);
        // Writing to a string cannot fail.
        writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}").ok();
    }

    /// A sample; `values` of the family's labels, in order.
    pub(super) fn sample(&mut self, values: &[&str], value: impl Display) {
        self.line("", values, None, value);
    }

    /// A histogram: `buckets` are upper bounds with how many are at most so large.
    pub(super) fn histogram(
        &mut self,
        values: &[&str],
        buckets: impl Iterator<Item = (f64, u64)>,
        sum: f64,
        count: u64,
    ) {
        for (bound, count) in buckets {
            self.line("_bucket", values, Some(&bound.to_string()), count);
        }
        self.line("_bucket", values, Some("+Inf"), count);
        self.line("_sum", values, None, sum);
        self.line("_count", values, None, count);
    }

    /// The whole text.
    pub(super) fn finish(self) -> String {
        self.text
    }

    fn line(&mut self, suffix: &str, values: &[&str], bound: Option<&str>, value: impl Display) {
        let Some(family) = self.family else { return };
        self.text.push_str(family.name);
        self.text.push_str(suffix);
        let labels = family.labels.iter().copied().zip(values.iter().copied());
        let labels = labels.chain(bound.map(|it| ("le", it)));
        let mut separator = '{';
        for (label, value) in labels {
            self.text.push(separator);
            self.text.push_str(label);
            self.text.push_str("=\"");
            escape(value, &mut self.text);
            self.text.push('"');
            separator = ',';
        }
        if separator == ',' {
            self.text.push('}');
        }
        writeln!(self.text, " {value}").ok();
    }
}

/// Escapes a label's value: backslash, quotation mark and line feed.
fn escape(value: &str, text: &mut String) {
    for character in value.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAIR: Family =
        Family { name: "lb_pair", kind: "counter", labels: &["a", "b"], help: "A pair." };
    const SPAN: Family =
        Family { name: "lb_span_seconds", kind: "histogram", labels: &["a"], help: "A span." };
    const BARE: Family = Family { name: "lb_bare", kind: "gauge", labels: &[], help: "Bare." };

    #[test]
    fn samples_have_escaped_labels() {
        let mut text = Text::default();
        text.family(&PAIR);
        text.sample(&["x\"y\\z\n", "é,{}"], 7);
        text.family(&BARE);
        text.sample(&[], 1.5);
        assert_eq!(
            text.finish(),
            "# HELP lb_pair A pair.\n# TYPE lb_pair counter\n\
             lb_pair{a=\"x\\\"y\\\\z\\n\",b=\"é,{}\"} 7\n\
             # HELP lb_bare Bare.\n# TYPE lb_bare gauge\nlb_bare 1.5\n"
        );
    }

    #[test]
    fn histograms_are_cumulative_with_a_last_bucket_for_all() {
        let mut text = Text::default();
        text.family(&SPAN);
        text.histogram(&["x"], [(0.005, 2), (10.0, 3)].into_iter(), 1.25, 4);
        let text = text.finish();
        let lines: Vec<_> = text.lines().skip(2).collect();
        assert_eq!(
            lines,
            [
                "lb_span_seconds_bucket{a=\"x\",le=\"0.005\"} 2",
                "lb_span_seconds_bucket{a=\"x\",le=\"10\"} 3",
                "lb_span_seconds_bucket{a=\"x\",le=\"+Inf\"} 4",
                "lb_span_seconds_sum{a=\"x\"} 1.25",
                "lb_span_seconds_count{a=\"x\"} 4",
            ]
        );
    }
}
