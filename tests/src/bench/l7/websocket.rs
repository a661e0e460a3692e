//! Messages echoed over WebSockets (RFC 6455): the clients and the origin, both on the generator's
//! core.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use rustix::thread::{CpuSet, sched_setaffinity};

use super::{latency::Latency, load::Load};
use crate::{
    origin::{WEBSOCKET_ACCEPT, WEBSOCKET_KEY},
    rivals::process::Cores,
};

/// Connections at once.
const CONNECTIONS: usize = 32;
/// Bytes of a message: short enough for the one-byte length.
const MESSAGE_BYTES: usize = 64;
/// What clients mask with. Any four bytes will do for a benchmark.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
/// FIN and text (section 5.2).
const TEXT: u8 = 0x81;
/// How long anything may take.
pub(super) const LIMIT: Duration = Duration::from_secs(10);
/// Longest head of a request or response.
const HEAD_BYTES_MAX: usize = 8 * 1_024;

/// Starts an origin that echoes, for as long as this process runs; its port on 127.0.0.1.
pub(super) fn origin(cores: Cores) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        // New threads stay where the one that starts them is.
        if stay_on(cores.others).is_err() {
            return;
        }
        for stream in listener.incoming().flatten() {
            // It ends with its connection, whatever the reason.
            thread::spawn(move || echo(stream).ok());
        }
    });
    Ok(port)
}

/// Sends messages through the proxy at `address` for so long; each must come back.
pub(super) fn run(address: SocketAddr, duration: Duration, cores: Cores) -> Result<Load> {
    let run = move || {
        stay_on(cores.others)?;
        let mut streams = Vec::new();
        for _ in 0..CONNECTIONS {
            streams.push(connect(address)?);
        }
        let begin = Instant::now();
        let (mut load, mut times) = (Load::default(), Vec::new());
        while begin.elapsed() < duration {
            let mut said = Vec::with_capacity(CONNECTIONS);
            for stream in &mut streams {
                said.push(Instant::now());
                say(stream)?;
            }
            for (stream, said) in streams.iter_mut().zip(said) {
                hear(stream)?;
                times.push(said.elapsed());
                load.requests += 1;
            }
        }
        load.took = begin.elapsed();
        load.latency = Latency::of(times);
        Ok(load)
    };
    // A thread of its own, so that this one may go on where it likes.
    thread::spawn(run).join().map_err(|_| anyhow::anyhow!("the clients panicked"))?
}

/// Whether one message comes back.
pub(super) fn prove(address: SocketAddr) -> Result<()> {
    let mut stream = connect(address)?;
    say(&mut stream)?;
    hear(&mut stream)
}

/// Keeps this thread on a core.
pub(super) fn stay_on(core: usize) -> Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

fn connect(address: SocketAddr) -> Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_nodelay(true)?;
    let request = format!(
        "GET /echo HTTP/1.1\r\nHost: bench.example\r\nConnection: Upgrade\r\nUpgrade: \
         websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {WEBSOCKET_KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    let head = head(&mut stream)?;
    ensure!(head.starts_with("HTTP/1.1 101 ") && head.contains(WEBSOCKET_ACCEPT), "{head}");
    Ok(stream)
}

fn say(stream: &mut TcpStream) -> Result<()> {
    let mut frame = vec![TEXT, 0x80 | MESSAGE_BYTES as u8];
    frame.extend(MASK);
    frame.extend(MASK.iter().cycle().take(MESSAGE_BYTES).map(|mask| b'x' ^ mask));
    Ok(stream.write_all(&frame)?)
}

fn hear(stream: &mut TcpStream) -> Result<()> {
    let mut frame = [0; 2 + MESSAGE_BYTES];
    stream.read_exact(&mut frame).context("no echo")?;
    let (head, message) = frame.split_at(2);
    let is_echo = head == [TEXT, MESSAGE_BYTES as u8] && message.iter().all(|it| *it == b'x');
    ensure!(is_echo, "another message came back");
    Ok(())
}

fn echo(mut stream: TcpStream) -> Result<()> {
    stream.set_nodelay(true)?;
    head(&mut stream)?;
    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: \
         websocket\r\nSec-WebSocket-Accept: {WEBSOCKET_ACCEPT}\r\n\r\n"
    );
    stream.write_all(response.as_bytes())?;
    let mut frame = [0; 6 + MESSAGE_BYTES];
    loop {
        stream.read_exact(&mut frame)?;
        let (head, message) = frame.split_at(6);
        let mask = head.get(2..).unwrap_or_default();
        let mut reply = vec![TEXT, MESSAGE_BYTES as u8];
        reply.extend(message.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        stream.write_all(&reply)?;
    }
}

/// Reads a head and nothing beyond it.
fn head(stream: &mut TcpStream) -> Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        ensure!(head.len() < HEAD_BYTES_MAX, "an endless head");
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    Ok(String::from_utf8(head)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_back() {
        let core = crate::rivals::process::cores().unwrap().others;
        let cores = Cores { proxy: core, others: core };
        let address = SocketAddr::from(([127, 0, 0, 1], origin(cores).unwrap()));
        prove(address).unwrap();
        let load = run(address, Duration::ZERO, cores).unwrap();
        assert_eq!(load.failures, 0);
    }
}
