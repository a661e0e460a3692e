//! The command line of `lb-bench`.

use anyhow::{Context as _, Result, bail};

/// What `lb-bench --help` prints.
pub const USAGE: &str = "\
usage: lb-bench l4 [--quick] [--rounds N] [-o text|json]

  l4          ns per packet of the tunnel path (tcp-v4) against xdp_lb_bench
  --quick     fewer rounds: ends within two minutes, downloads included
  --rounds N  as many rounds at each flow count
  -o FORMAT   text (a table and the closing line) or json
Commands that install or compile are printed to standard error before they run.
";

/// Rounds at each flow count by default, and with `--quick`.
const ROUNDS: u32 = 400;
const ROUNDS_QUICK: u32 = 80;

/// How the result is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table, then the closing line.
    Text,
    /// One JSON object.
    Json,
}

/// What the command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// Print [`USAGE`].
    Help,
    /// Measure with so many rounds at each flow count and print the result so.
    L4 {
        /// Rounds at each flow count, at least 1.
        rounds_count: u32,
        /// How the result is printed.
        format: Format,
    },
}

impl Request {
    /// Reads the words after the program's name; an unknown word is an error.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut words = words.into_iter();
        match words.next().as_deref() {
            Some("l4") => {}
            Some("-h" | "--help") => return Ok(Self::Help),
            Some(other) => bail!("unknown bench {other:?}\n{USAGE}"),
            None => bail!("which bench?\n{USAGE}"),
        }
        let mut rounds_count = ROUNDS;
        let mut format = Format::Text;
        while let Some(word) = words.next() {
            match word.as_str() {
                "-h" | "--help" => return Ok(Self::Help),
                "--quick" => rounds_count = ROUNDS_QUICK,
                "--rounds" => {
                    let value = words.next().context("--rounds needs a number")?;
                    rounds_count = value
                        .parse()
                        .ok()
                        .filter(|count| *count > 0)
                        .with_context(|| format!("--rounds {value}: not a positive number"))?;
                }
                "-o" => match words.next().as_deref() {
                    Some("text") => format = Format::Text,
                    Some("json") => format = Format::Json,
                    other => bail!("-o takes text or json, not {other:?}"),
                },
                other => bail!("unknown word {other:?}\n{USAGE}"),
            }
        }
        Ok(Self::L4 { rounds_count, format })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        Request::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn flags_are_read_in_any_order() {
        let request = parse("l4 -o json --quick").unwrap();
        assert_eq!(request, Request::L4 { rounds_count: ROUNDS_QUICK, format: Format::Json });
        let request = parse("l4 --rounds 7").unwrap();
        assert_eq!(request, Request::L4 { rounds_count: 7, format: Format::Text });
        assert_eq!(parse("l4 --help").unwrap(), Request::Help);
    }

    #[test]
    fn wrong_words_are_errors() {
        for line in ["", "l7", "l4 --rounds", "l4 --rounds 0", "l4 -o xml", "l4 fast"] {
            assert!(parse(line).is_err(), "{line:?} was accepted");
        }
    }
}
