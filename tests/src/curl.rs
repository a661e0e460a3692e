//! The real `curl`, in a host of the lab.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::lab::Host;

/// How long a request may take, in seconds.
const LIMIT_SECONDS: &str = "20";

/// Requests from a host to one address, whatever the name in the URL.
#[derive(Clone, Debug)]
pub struct Curl {
    client: Host,
    to: IpAddr,
    authority: Option<PathBuf>,
}

/// A final response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The version as curl prints it: `1.1`, `2`.
    pub version: String,
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

impl Curl {
    /// From `client` to the address `to`.
    pub fn new(client: &Host, to: IpAddr) -> Self {
        Self { client: client.clone(), to, authority: None }
    }

    /// Trusts the authority in that file, PEM.
    pub fn trusting(mut self, authority: PathBuf) -> Self {
        self.authority = Some(authority);
        self
    }

    /// The same to another address.
    #[must_use]
    pub fn at(&self, to: IpAddr) -> Self {
        Self { to, ..self.clone() }
    }

    /// What is answered to a request for `url`, with more options of curl.
    ///
    /// Errors: no response, by what curl says.
    pub fn get(&self, url: &str, options: &[&str]) -> Result<Answer> {
        let shown = self.run(url, &[&["--include", "--globoff"], options].concat())?;
        parse(&shown).with_context(|| format!("curl {url}"))
    }

    /// Asks for `url` so many times, one after another, over one connection as long as it is kept:
    /// how often each status and value of the field `X-Origin` came (`200 b1`).
    ///
    /// Errors: no response to one of them, by what curl says.
    pub fn count(&self, url: &str, count: u64, options: &[&str]) -> Result<BTreeMap<String, u64>> {
        let url = format!("{url}?[1-{count}]");
        let each = ["--output", "/dev/null", "--write-out", "%{http_code} %header{x-origin}\\n"];
        let mut counts = BTreeMap::new();
        for line in self.run(&url, &[&each, options].concat())?.lines() {
            *counts.entry(line.trim_end().to_owned()).or_default() += 1;
        }
        Ok(counts)
    }

    fn run(&self, url: &str, options: &[&str]) -> Result<String> {
        let to = match self.to {
            IpAddr::V4(to) => format!("::{to}:"),
            IpAddr::V6(to) => format!("::[{to}]:"),
        };
        let mut command = self.client.command("curl")?;
        command.args(["--silent", "--show-error", "--max-time", LIMIT_SECONDS]);
        command.args(["--connect-to", &to]);
        if let Some(authority) = &self.authority {
            command.arg("--cacert").arg(authority);
        }
        let output = command.args(options).arg(url).output().context("start curl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl {url}: {}\n{said}", output.status);
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Answer {
    /// The first field of that name; `name` in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }
}

/// The last of the header sections, because interim responses come first.
fn parse(text: &str) -> Result<Answer> {
    let mut rest = text;
    loop {
        let (head, body) = rest.split_once("\r\n\r\n").context("no header section")?;
        let mut lines = head.lines();
        let mut words = lines.next().context("no status line")?.splitn(3, ' ');
        let version = words.next().and_then(|it| it.strip_prefix("HTTP/")).context("a version")?;
        let status: u16 = words.next().context("no status")?.parse()?;
        if status < 200 && status != 101 {
            rest = body;
            continue;
        }
        let fields = lines.filter_map(|line| line.split_once(':'));
        let fields = fields.map(|(name, it)| (name.to_ascii_lowercase(), it.trim().to_owned()));
        return Ok(Answer {
            version: version.to_owned(),
            status,
            fields: fields.collect(),
            body: body.to_owned(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_responses_are_passed_over() {
        let text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/2 404 \r\nX-A: b\r\n\r\n{\"a\": 1}";
        let answer = parse(text).unwrap();
        assert_eq!((answer.version.as_str(), answer.status), ("2", 404));
        assert_eq!(answer.field("x-a"), Some("b"));
        assert_eq!(answer.json()["a"], 1);
    }
}
