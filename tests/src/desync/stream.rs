//! Streams of bytes that are nearly HTTP/1: seeds from the table of probes, mutated. The same number
//! makes the same stream.

use fastrand::Rng;

use crate::http::probes::{self, Expected};

/// Longer probes ask for limits, not for framing.
const SEED_BYTES_MAX: usize = 400;

/// What confuses parsers.
const WORDS: [&str; 36] = [
    "\r",
    "\n",
    "\r\n",
    "\r\n\r\n",
    "\n\n",
    "\0",
    " ",
    "\t",
    "\x0b",
    ":",
    ";",
    ",",
    "0",
    "1",
    "f",
    "\"",
    "\u{e4}",
    "/",
    "Content-Length: 5\r\n",
    "Content-Length: 0\r\n",
    "Content-Length : 3\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: identity\r\n",
    "Transfer-Encoding:\x0bchunked\r\n",
    "Transfer-Encoding\r\n : chunked\r\n",
    "Host: b\r\n",
    "Connection: close\r\n",
    "Connection: content-length\r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: x\r\nConnection: upgrade\r\n",
    "0\r\n\r\n",
    "5\r\n",
    "3;a=b\r\n",
    "abc",
    " HTTP/1.1\r\n",
    "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n",
];

/// Makes streams.
#[derive(Debug)]
pub(super) struct Streams {
    seeds: Vec<Vec<u8>>,
    seed: u64,
}

impl Streams {
    pub(super) fn new(seed: u64) -> Self {
        let is_seed = |it: &probes::Probe| {
            it.bytes.len() <= SEED_BYTES_MAX && !matches!(it.expected, Expected::Unfinished(_))
        };
        let mut seeds = Vec::new();
        for probe in probes::all().into_iter().filter(is_seed) {
            // Those that are served are the ones whose mutations get far.
            let copies = if matches!(probe.expected, Expected::Served(_)) { 8 } else { 1 };
            seeds.extend(std::iter::repeat_n(probe.bytes, copies));
        }
        Self { seeds, seed }
    }

    /// One to three requests, of which something is changed up to three times, and a last one.
    pub(super) fn stream(&self, number: u64) -> Vec<u8> {
        let mut rng = Rng::with_seed(self.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut stream = Vec::new();
        for request in 0..rng.usize(1..=3) {
            let seed = rng.choice(&self.seeds).map_or(&[][..], Vec::as_slice);
            stream.extend(with_own_target(seed, &format!(" {}{request} ", own(number))));
        }
        for _ in 0..rng.usize(0..=3) {
            mutate(&mut stream, &mut rng);
        }
        let own = own(number);
        let last = format!("GET {own}last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        stream.extend_from_slice(last.as_bytes());
        stream
    }
}

/// What targets of a stream begin with.
fn own(number: u64) -> String {
    format!("/stream{number}-")
}

fn with_own_target(seed: &[u8], target: &str) -> Vec<u8> {
    let Some(at) = seed.windows(3).position(|it| it == b" / ") else { return seed.to_vec() };
    let (before, after) = seed.split_at(at);
    [before, target.as_bytes(), after.get(3..).unwrap_or_default()].concat()
}

fn mutate(stream: &mut Vec<u8>, rng: &mut Rng) {
    if stream.is_empty() {
        return;
    }
    let at = rng.usize(..stream.len());
    let end = (at + rng.usize(1..=12)).min(stream.len());
    match rng.u8(..5) {
        0 => drop(stream.drain(at..end)),
        1 => {
            let piece: Vec<_> = stream.drain(at..end).collect();
            stream.splice(at..at, [&*piece, &*piece].concat());
        }
        2 => {
            if let Some(byte) = stream.get_mut(at) {
                *byte = rng.u8(..);
            }
        }
        3 => {
            let word = word(rng);
            stream.splice(at..at, word.bytes());
        }
        // At the begin of a line, where fields and chunk sizes stand.
        _ => {
            let word = word(rng);
            let lines: Vec<_> =
                (0..stream.len()).filter(|it| stream.get(*it) == Some(&b'\n')).collect();
            let at = rng.choice(&lines).map_or(at, |it| it + 1);
            stream.splice(at..at, word.bytes());
        }
    }
}

fn word(rng: &mut Rng) -> &'static str {
    rng.choice(WORDS).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_makes_one_stream() {
        let (streams, others) = (Streams::new(1), Streams::new(2));
        assert_eq!(streams.stream(7), Streams::new(1).stream(7));
        assert!((0..9).any(|it| streams.stream(it) != others.stream(it)));
    }
}
