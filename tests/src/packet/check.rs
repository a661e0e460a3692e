//! Where two frames differ, in words.

use std::fmt::Write as _;

use super::decode::describe;

/// Where two frames differ, header by header, lines of the expected one marked `-` and of the
/// actual one `+`; empty if they are equal.
pub fn differences(expected: &[u8], actual: &[u8]) -> String {
    let mut text = String::new();
    if expected == actual {
        return text;
    }
    let at = expected.iter().zip(actual).take_while(|(a, b)| a == b).count();
    let (want, got) = (expected.len(), actual.len());
    writeln!(text, "    packet out differs from byte {at} on ({want} bytes expected, {got} came):")
        .expect("to a string");
    for (mark, line) in diff(&describe(expected), &describe(actual)) {
        writeln!(text, "    {mark} {line}").expect("to a string");
    }
    text
}

/// Longest common subsequence of two short lists, as a diff.
fn diff(left: &[String], right: &[String]) -> Vec<(char, String)> {
    let mut common = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for i in (0..left.len()).rev() {
        for j in (0..right.len()).rev() {
            common[i][j] = if left[i] == right[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < left.len() || j < right.len() {
        if i < left.len() && j < right.len() && left[i] == right[j] {
            lines.push((' ', left[i].clone()));
            (i, j) = (i + 1, j + 1);
        } else if i < left.len() && (j == right.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', left[i].clone()));
            i += 1;
        } else {
            lines.push(('+', right[j].clone()));
            j += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::{V4, ip};

    #[test]
    fn a_difference_is_shown_in_its_header() {
        let frame = ip(V4.client(), V4.vip()).tcp(1, 2);
        let text = differences(&frame.bytes(), &frame.hop_limit(9).bytes());
        assert!(text.contains("- ipv4") && text.contains("ttl 9"), "{text}");
        assert!(text.contains("  tcp 1 > 2"), "{text}");
    }

    #[test]
    fn equal_frames_do_not_differ() {
        let frame = ip(V4.client(), V4.vip()).tcp(1, 2).bytes();
        assert_eq!(differences(&frame, &frame), "");
    }
}
