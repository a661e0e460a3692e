//! What was on the wire: tcpdump on an interface of a host.
//!
//! On an interface whose XDP program consumes a packet, tcpdump does not see it; capture at the
//! other end of the link.

mod ip;
mod pcap;

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use rustix::process::{Pid, Signal, kill_process};

pub use ip::IpPacket;

use crate::lab::{Host, MacAddress};
use crate::wait::eventually;

/// How long tcpdump may take to listen.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Bytes kept of a packet: more than any link of a lab carries.
const SNAPSHOT_BYTES: &str = "4096";
/// Room in the kernel for what tcpdump has not read yet. Each packet takes a whole snapshot of it, and
/// the usual 2 MiB hold so few that a busy machine would lose some.
const BUFFER_KIB: &str = "32768";

/// A packet as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CapturedPacket {
    /// All bytes from the Ethernet header on.
    pub bytes: Vec<u8>,
}

impl CapturedPacket {
    /// The MAC address it was sent to; none if it is no Ethernet frame.
    pub fn destination(&self) -> Option<MacAddress> {
        self.bytes.first_chunk().map(|mac| MacAddress(*mac))
    }

    /// The MAC address it was sent from.
    pub fn source(&self) -> Option<MacAddress> {
        self.bytes.get(6..12)?.first_chunk().map(|mac| MacAddress(*mac))
    }

    /// The protocol of the payload, a VLAN tag's if it has one.
    pub fn ether_type(&self) -> Option<u16> {
        self.bytes.get(12..14)?.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// The packet inside the frame; none if it is no whole IPv4 or IPv6 header.
    pub fn ip(&self) -> Option<IpPacket<'_>> {
        IpPacket::parse(self.payload())
    }

    /// What follows the Ethernet header (14 bytes, no tags).
    pub fn payload(&self) -> &[u8] {
        self.bytes.get(14..).unwrap_or_default()
    }
}

/// A running capture; ends when dropped.
#[derive(Debug)]
pub struct Capture {
    child: Child,
    file: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    /// Captures on an interface of a host the packets that match a filter (pcap-filter(7), empty
    /// for all). Returns when tcpdump listens, so that nothing sent later is missed.
    pub fn start(host: &Host, interface: &str, filter: &str) -> Result<Self> {
        let mut command = host.command("tcpdump")?;
        command.args(["-i", interface, "-n", "-U", "--immediate-mode", "-w", "-"]);
        command.args(["-s", SNAPSHOT_BYTES, "-B", BUFFER_KIB]);
        // Whole-file output to a pipe gains nothing from the user tcpdump would change to.
        command.args(["-Z", "root"]).args(filter.split_whitespace());
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .context("start tcpdump")?;
        let file = Arc::default();
        let reader = child.stdout.take().map(|stdout| read_into(stdout, Arc::clone(&file)));
        let stderr = child.stderr.take().context("no stderr")?;
        let capture = Self { child, file, reader };
        wait_until_listening(stderr)?;
        Ok(capture)
    }

    /// The packets seen so far.
    pub fn packets(&self) -> Result<Vec<CapturedPacket>> {
        pcap::parse(&self.file.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until a packet seen by the capture satisfies `wanted`, and returns it.
    pub fn wait_for(
        &self,
        limit: Duration,
        what: &str,
        wanted: impl Fn(&CapturedPacket) -> bool,
    ) -> Result<CapturedPacket> {
        eventually(limit, what, || {
            self.packets().map(|packets| packets.into_iter().find(&wanted)).transpose()
        })?
    }

    /// Ends the capture and returns all packets. A packet that arrived within the last moment
    /// may be missing: wait for it with [`Self::wait_for`] first.
    pub fn stop(mut self) -> Result<Vec<CapturedPacket>> {
        kill_process(Pid::from_child(&self.child), Signal::INT).context("interrupt tcpdump")?;
        self.child.wait().context("wait for tcpdump")?;
        if let Some(reader) = self.reader.take() {
            reader.join().map_err(|_| anyhow!("the reader of tcpdump panicked"))?;
        }
        self.packets()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        // Both fail only for a child that has been reaped, which is the aim.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn read_into(mut stream: impl Read + Send + 'static, file: Arc<Mutex<Vec<u8>>>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut chunk = vec![0; 1 << 16];
        while let Ok(len) = stream.read(&mut chunk)
            && len > 0
        {
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.extend_from_slice(chunk.get(..len).unwrap_or_default());
        }
    })
}

fn wait_until_listening(stderr: impl Read + Send + 'static) -> Result<()> {
    let (lines_in, lines) = channel();
    thread::spawn(move || {
        // Reads on after the receiver is gone: tcpdump must not block on a full pipe.
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            drop(lines_in.send(line));
        }
    });
    let mut said = Vec::new();
    loop {
        let line = lines
            .recv_timeout(START_LIMIT)
            .with_context(|| format!("tcpdump does not listen; it said {said:?}"))?;
        if line.contains("listening on") {
            return Ok(());
        }
        said.push(line);
    }
}
