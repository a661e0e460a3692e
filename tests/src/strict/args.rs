//! The command line of `lb-strict`.

use anyhow::{Context as _, Result, bail, ensure};

use super::{Options, RIVALS};
use crate::desync;

/// What `lb-strict --help` prints.
pub(super) const USAGE: &str = "\
usage: lb-strict [--against PROXY[,..]|none] [--only TEXT] [-o text|json]
       lb-strict --desync N [--seed N] [-o text|json]

  Sends every probe of HTTP/1 to ours and to the rivals, and every case of HTTP/2 to ours, and
  prints the verdicts side by side. Ends with 1 if ours does not do what the tables say.

  --against   rivals: nginx, haproxy, envoy (default: all)
  --only      only probes and cases with this text in their name
  --desync N  instead send N mutated streams through ours to nginx, node, Python and hyper, and
              look for requests that ours and they saw differently
  --seed N    what the streams are made from (default 1)
  -o FORMAT   text (a table and the closing lines) or json
Rivals and origins that are missing are installed; the commands are printed to standard error.
";

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Format {
    /// A table, then the closing lines.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Print [`USAGE`].
    Help,
    /// Ask everyone.
    Run {
        /// Whom and what.
        options: Options,
        /// How the result is printed.
        format: Format,
    },
    /// Look for disagreements.
    Desync {
        /// How.
        options: desync::Options,
        /// How the result is printed.
        format: Format,
    },
}

impl Request {
    /// Reads the words after the program's name; an unknown word is an error.
    pub(super) fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut words = words.into_iter();
        let mut rivals: Vec<_> = RIVALS.map(str::to_owned).into();
        let (mut filter, mut format) = (None, Format::default());
        let (mut streams, mut seed) = (None, 1);
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "-h" | "--help" => return Ok(Self::Help),
                "--against" => rivals = self::rivals(&value()?)?,
                "--desync" => streams = Some(number(&word, &value()?)?),
                "--seed" => seed = number(&word, &value()?)?,
                "--only" => filter = Some(value()?),
                "-o" => match value()?.as_str() {
                    "text" => format = Format::Text,
                    "json" => format = Format::Json,
                    other => bail!("-o takes text or json, not {other:?}"),
                },
                other => bail!("unknown word {other:?}\n{USAGE}"),
            }
        }
        if let Some(streams_count) = streams {
            let options = desync::Options { streams_count, seed, installs: true };
            return Ok(Self::Desync { options, format });
        }
        let proxies = [vec!["ours".to_owned()], rivals].concat();
        Ok(Self::Run { options: Options { proxies, filter }, format })
    }
}

fn number(word: &str, value: &str) -> Result<u64> {
    value.parse().with_context(|| format!("{word} {value}: not a number"))
}

fn rivals(value: &str) -> Result<Vec<String>> {
    if value == "none" {
        return Ok(Vec::new());
    }
    let rivals: Vec<_> = value.split(',').map(str::to_owned).collect();
    for rival in &rivals {
        ensure!(RIVALS.contains(&rival.as_str()), "unknown rival {rival:?}\n{USAGE}");
    }
    Ok(rivals)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Request> {
        Request::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_are_read() {
        let Request::Run { options, format } =
            parse("--against nginx --only line- -o json").unwrap()
        else {
            panic!("no run");
        };
        assert_eq!(options.proxies, ["ours", "nginx"]);
        assert_eq!((options.filter.as_deref(), format), (Some("line-"), Format::Json));
        assert_eq!(parse("--help").unwrap(), Request::Help);
        let Request::Desync { options, .. } = parse("--desync 5000 --seed 9").unwrap() else {
            panic!("no desync");
        };
        assert_eq!((options.streams_count, options.seed), (5_000, 9));
        for line in ["--against iis", "--desync many", "-o xml", "--only", "fast"] {
            assert!(parse(line).is_err(), "{line:?} was accepted");
        }
    }
}
