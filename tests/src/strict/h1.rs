//! Probes of HTTP/1 over TCP, against one proxy before one origin.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, Result};

use super::verdict::{LAST, Observation};
use crate::http::{
    client::{Said, exchange, responses},
    origin::{Origin, Seen},
    probes::{Expected, Probe},
};

/// How long a proxy may take for the next piece of an answer before it counts as silent.
const PATIENCE: Duration = Duration::from_secs(20);
const CLIENT: [u8; 4] = [127, 0, 0, 1];

/// Sends each probe on a connection of its own and sees what comes of it; and after each another
/// client's request, which has to be answered as if nothing had happened.
pub async fn run(probes: &[Probe], proxy: SocketAddr, origin: &Origin) -> Result<Vec<Observation>> {
    let mut observations = Vec::with_capacity(probes.len());
    for (number, probe) in probes.iter().enumerate() {
        let observation = ask(probe, number, proxy, origin).await;
        observations.push(observation.with_context(|| format!("probe {}", probe.name))?);
    }
    Ok(observations)
}

async fn ask(
    probe: &Probe,
    number: usize,
    proxy: SocketAddr,
    origin: &Origin,
) -> Result<Observation> {
    let is_finished = !matches!(probe.expected, Expected::Unfinished(_));
    let mut bytes = probe.bytes.clone();
    if is_finished {
        let last = format!("GET {LAST} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        bytes.extend_from_slice(last.as_bytes());
    }
    origin.take();
    let (end_after, patience) =
        if is_finished { (PATIENCE, Duration::ZERO) } else { (Duration::ZERO, PATIENCE) };
    let said = Said { bytes: &bytes, end_after, patience };
    let answer = exchange(CLIENT, proxy, said).await?;
    let astray = next_client(number, proxy).await?;
    let mut seen = origin.take();
    seen.retain(|it| !is_next_client(it));
    // Who speaks HTTP/2, too, answers its preface in frames.
    let is_other = probe.bytes.starts_with(b"PRI ") && !answer.bytes.starts_with(b"HTTP/");
    let bytes = if is_other { &[][..] } else { &*answer.bytes };
    let mut observation = Observation::new(responses(bytes), answer.is_ended, seen);
    observation.harm = observation.harm.or(astray);
    Ok(observation)
}

/// What is wrong with another client's answer.
async fn next_client(number: usize, proxy: SocketAddr) -> Result<Option<String>> {
    let target = format!("/next/{number}");
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let bytes = request.as_bytes();
    let said = Said { bytes, end_after: PATIENCE, patience: Duration::ZERO };
    let answer = exchange(CLIENT, proxy, said).await?;
    let responses = responses(&answer.bytes);
    let expected = format!("seen GET {target} with 0 bytes\n");
    let is_right = matches!(&*responses.complete, [it] if it.body == expected.as_bytes());
    let told = || format!("the next client got {:?}", String::from_utf8_lossy(&answer.bytes));
    Ok((!is_right).then(told))
}

fn is_next_client(seen: &Seen) -> bool {
    matches!(seen, Seen::Request(it) if it.target.starts_with("/next/"))
}
