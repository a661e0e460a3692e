//! The command line of `lb-bench`.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};

use super::{
    kube,
    l7::{Options, Scenario},
};

/// What `lb-bench --help` prints.
pub const USAGE: &str = "\
usage: lb-bench l4 [--quick] [--rounds N] [-o text|json]
       lb-bench l7 [--quick] [--rounds N] [--seconds N] [--only SCENARIO[,..]]
                   [--against PROXY[,..]] [--svg FILE] [-o text|json]
       lb-bench kube [--quick] [-o text|json]

  l4          ns per packet of the tunnel path (tcp-v4) against xdp_lb_bench
  l7          CPU microseconds per request of the proxy against nginx, HAProxy, Envoy, Caddy
              and Traefik, one core each, the same backend
  kube        how fast what is applied to a cluster is served, on a real kube-apiserver
  --quick     fewer and shorter rounds; a tenth of the objects
  --rounds N  as many rounds at each flow count, or of each scenario
  --seconds N each proxy is under load for so long in each round
  --only      scenarios: h1-64, h1-64k, h1-connect, tls-h1, tls-handshake, tls-resume, h2, grpc,
              websocket, routes, overload, idle, idle-tls
  --against   rivals: nginx, haproxy, envoy, caddy, traefik
  --svg FILE  also draw the result
  -o FORMAT   text (a table and the closing line) or json
Commands that install or compile are printed to standard error before they run.
";

/// Rounds of l4 at each flow count by default, and with `--quick`.
const L4_ROUNDS: u32 = 400;
const L4_ROUNDS_QUICK: u32 = 80;

/// Rounds of l7 of each scenario by default, and with `--quick`.
const L7_ROUNDS: u32 = 7;
const L7_ROUNDS_QUICK: u32 = 3;

/// Seconds of load in each round by default, and with `--quick`.
const L7_SECONDS: u64 = 3;
const L7_SECONDS_QUICK: u64 = 1;

/// How the result is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// A table, then the closing line.
    #[default]
    Text,
    /// One JSON object.
    Json,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Print [`USAGE`].
    Help,
    /// Measure the packet path.
    L4 {
        /// Rounds at each flow count, at least 1.
        rounds_count: u32,
        /// How the result is printed.
        format: Format,
    },
    /// Measure the agent of clusters.
    Kube {
        /// How much.
        options: kube::Options,
        /// How the result is printed.
        format: Format,
    },
    /// Measure the proxy.
    L7 {
        /// How.
        options: Options,
        /// How the result is printed.
        format: Format,
    },
}

impl Request {
    /// Reads the words after the program's name; an unknown word is an error.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Self> {
        let mut words = words.into_iter();
        let bench = match words.next().as_deref() {
            Some("l4") => Bench::L4,
            Some("l7") => Bench::L7,
            Some("kube") => Bench::Kube,
            Some("-h" | "--help") => return Ok(Self::Help),
            Some(other) => bail!("unknown bench {other:?}\n{USAGE}"),
            None => bail!("which bench?\n{USAGE}"),
        };
        let mut given = Given::default();
        while let Some(word) = words.next() {
            if matches!(word.as_str(), "-h" | "--help") {
                return Ok(Self::Help);
            }
            given.take(&word, &mut words, bench)?;
        }
        Ok(match bench {
            Bench::L4 => given.l4(),
            Bench::L7 => given.l7()?,
            Bench::Kube => given.kube(),
        })
    }
}

/// Which of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Bench {
    L4,
    L7,
    Kube,
}

/// What was given, whatever the order.
#[derive(Default)]
struct Given {
    quick: bool,
    rounds: Option<u32>,
    seconds: Option<u32>,
    only: Option<Vec<String>>,
    against: Option<Vec<String>>,
    svg: Option<PathBuf>,
    format: Format,
}

impl Given {
    fn take(
        &mut self,
        word: &str,
        words: &mut impl Iterator<Item = String>,
        bench: Bench,
    ) -> Result<()> {
        let is_l7 = bench == Bench::L7;
        let mut value = || words.next().with_context(|| format!("{word} needs a value"));
        match word {
            "--quick" => self.quick = true,
            "--rounds" if bench != Bench::Kube => self.rounds = Some(positive(word, &value()?)?),
            "--seconds" if is_l7 => self.seconds = Some(positive(word, &value()?)?),
            "--only" if is_l7 => self.only = Some(list(&value()?)),
            "--against" if is_l7 => self.against = Some(list(&value()?)),
            "--svg" if is_l7 => self.svg = Some(value()?.into()),
            "-o" => match value()?.as_str() {
                "text" => self.format = Format::Text,
                "json" => self.format = Format::Json,
                other => bail!("-o takes text or json, not {other:?}"),
            },
            other => bail!("unknown word {other:?}\n{USAGE}"),
        }
        Ok(())
    }

    fn l4(self) -> Request {
        let default = if self.quick { L4_ROUNDS_QUICK } else { L4_ROUNDS };
        Request::L4 { rounds_count: self.rounds.unwrap_or(default), format: self.format }
    }

    fn kube(self) -> Request {
        let options = if self.quick { kube::Options::QUICK } else { kube::Options::FULL };
        Request::Kube { options, format: self.format }
    }

    fn l7(self) -> Result<Request> {
        let rounds = if self.quick { L7_ROUNDS_QUICK } else { L7_ROUNDS };
        let seconds = if self.quick { L7_SECONDS_QUICK } else { L7_SECONDS };
        let scenarios = match self.only {
            Some(names) => names.iter().map(|it| it.parse()).collect::<Result<_>>()?,
            None => Scenario::ALL.to_vec(),
        };
        let known = super::l7::RIVALS;
        let rivals = self.against.unwrap_or_else(|| known.map(str::to_owned).to_vec());
        for rival in &rivals {
            ensure!(known.contains(&rival.as_str()), "unknown rival {rival:?}\n{USAGE}");
        }
        let options = Options {
            rounds_count: self.rounds.unwrap_or(rounds),
            load: Duration::from_secs(self.seconds.map_or(seconds, u64::from)),
            scenarios,
            rivals,
            svg: self.svg,
        };
        Ok(Request::L7 { options, format: self.format })
    }
}

fn positive(word: &str, value: &str) -> Result<u32> {
    let parsed = value.parse().ok().filter(|count| *count > 0);
    parsed.with_context(|| format!("{word} {value}: not a positive number"))
}

fn list(value: &str) -> Vec<String> {
    value.split(',').map(str::to_owned).collect()
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
        assert_eq!(request, Request::L4 { rounds_count: L4_ROUNDS_QUICK, format: Format::Json });
        let request = parse("l4 --rounds 7").unwrap();
        assert_eq!(request, Request::L4 { rounds_count: 7, format: Format::Text });
        assert_eq!(parse("l4 --help").unwrap(), Request::Help);
        let request = parse("kube -o json --quick").unwrap();
        let options = kube::Options::QUICK;
        assert_eq!(request, Request::Kube { options, format: Format::Json });
        let Request::L7 { options, .. } =
            parse("l7 --only h1-64,idle --seconds 9 --against nginx").unwrap()
        else {
            panic!("not l7");
        };
        assert_eq!(options.scenarios, [Scenario::H1Small, Scenario::Idle]);
        assert_eq!((options.load.as_secs(), options.rivals.len()), (9, 1));
    }

    #[test]
    fn wrong_words_are_errors() {
        for line in [
            "",
            "l5",
            "l4 --rounds",
            "l4 --rounds 0",
            "l4 -o xml",
            "l4 fast",
            "l4 --seconds 1",
            "kube --rounds 3",
            "l7 --only h4",
            "l7 --against iis",
        ] {
            assert!(parse(line).is_err(), "{line:?} was accepted");
        }
    }
}
