//! Passing an instance from one lbd to another: its lock and its listening sockets, over a unix
//! socket, while both serve.
//!
//! The successor asks, gets a descriptor of everything, serves, and says that it is ready. Only
//! then does its predecessor stop accepting. A successor that fails before changes nothing.

use super::{Event, Instance};
use crate::proxy::{
    accept::{Bound, Transport},
    handle::Inherited,
};
use anyhow::{Context, Result, bail};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags,
        SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags,
        SocketType, accept_with, bind, connect, listen, recvmsg, sendmsg, socket_with, sockopt,
    },
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    io::{ErrorKind, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::SocketAddr,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::Path,
    thread,
    time::Duration,
};
use tokio::sync::mpsc;

/// Only the daemon's own user may ask.
const MODE: u32 = 0o600;

/// Who asked may wait so long for the next message, and a predecessor for its successor to serve.
const TIMEOUT: Duration = Duration::from_mins(1);

/// Descriptors in a message; the kernel allows 253 (unix(7), `SCM_RIGHTS`).
const DESCRIPTORS_MAX: usize = 64;

/// Bytes of a message; the longest has an address and a few words.
const MESSAGE_BYTES_MAX: usize = 512;

/// Successors that may wait at once.
const BACKLOG: i32 = 4;

/// What is said, with the descriptors that belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Message {
    /// A successor wants to take over.
    TakeOver,
    /// The instance's lock.
    Lock,
    /// Listening sockets.
    Sockets { address: SocketAddr, is_udp: bool, is_steered: bool },
    /// That is all.
    End,
    /// The successor serves.
    Ready,
}

/// A successor that asked, and waits.
#[derive(Debug)]
pub struct Offer {
    successor: OwnedFd,
    lock: OwnedFd,
}

/// The daemon that runs, seen from its successor.
#[derive(Debug)]
pub(super) struct Predecessor(OwnedFd);

/// What a predecessor hands over.
#[derive(Debug)]
pub(super) struct Estate {
    pub(super) lock: OwnedFd,
    pub(super) sockets: Inherited,
}

/// Lets successors ask from now on. Replaces a predecessor's socket: the caller has the lock.
pub(super) fn offer(instance: &Instance, lock: OwnedFd, events: mpsc::Sender<Event>) -> Result<()> {
    let path = instance.handoff();
    let listener = bound(&path).with_context(|| format!("listening at {}", path.display()))?;
    let serve = move || {
        while let Ok(successor) = accept_with(&listener, SocketFlags::CLOEXEC) {
            let asked =
                set_timeout(&successor).map_err(Into::into).and_then(|()| receive(&successor));
            let Ok((Message::TakeOver, _)) = asked else { continue };
            let Ok(lock) = lock.try_clone() else { continue };
            if events.blocking_send(Event::HandOver(Offer { successor, lock })).is_err() {
                return;
            }
        }
    };
    thread::Builder::new().name("lbd-handoff".to_owned()).spawn(serve)?;
    Ok(())
}

/// Asks the daemon that runs the instance, and takes what it hands over; `None` if there is none.
pub(super) fn take_over(instance: &Instance) -> Result<Option<(Predecessor, Estate)>> {
    let Some(predecessor) = Predecessor::ask(instance)? else { return Ok(None) };
    let estate = predecessor.take()?;
    Ok(Some((predecessor, estate)))
}

impl Offer {
    /// Gives the successor everything and waits until it serves. An error means that it does not.
    pub(super) fn hand_over(&self, sockets: &Inherited) -> Result<()> {
        send(&self.successor, Message::Lock, &[self.lock.as_fd()])?;
        for (bound, is_steered) in sockets.groups() {
            let is_udp = bound.transport == Transport::Udp;
            let message = Message::Sockets { address: bound.address, is_udp, is_steered };
            let descriptors: Vec<_> = bound.sockets.iter().map(AsFd::as_fd).collect();
            for some in descriptors.chunks(DESCRIPTORS_MAX) {
                send(&self.successor, message, some)?;
            }
        }
        send(&self.successor, Message::End, &[])?;
        match receive(&self.successor)? {
            (Message::Ready, _) => Ok(()),
            (other, _) => bail!("the successor said {other:?}"),
        }
    }
}

impl Predecessor {
    /// Asks the daemon that runs the instance, if there is one.
    pub(super) fn ask(instance: &Instance) -> Result<Option<Self>> {
        let path = instance.handoff();
        let socket = socket()?;
        match connect(&socket, &SocketAddrUnix::new(&path)?) {
            Ok(()) => {}
            Err(Errno::NOENT | Errno::CONNREFUSED) => return Ok(None),
            Err(error) => return Err(error).with_context(|| path.display().to_string()),
        }
        set_timeout(&socket)?;
        send(&socket, Message::TakeOver, &[])?;
        Ok(Some(Self(socket)))
    }

    /// Takes what it hands over.
    pub(super) fn take(&self) -> Result<Estate> {
        let (mut lock, mut sockets) = (None, Inherited::default());
        loop {
            let (message, descriptors) = receive(&self.0)?;
            match message {
                Message::Lock => lock = descriptors.into_iter().next(),
                Message::Sockets { address, is_udp, is_steered } => {
                    let transport = if is_udp { Transport::Udp } else { Transport::Tcp };
                    let descriptors = descriptors.into_iter().map(Into::into).collect();
                    sockets.add(Bound { address, transport, sockets: descriptors }, is_steered);
                }
                Message::End => break,
                Message::TakeOver | Message::Ready => bail!("the predecessor said {message:?}"),
            }
        }
        let lock = lock.context("the predecessor gave no lock")?;
        Ok(Estate { lock, sockets })
    }

    /// Has it stop: what comes from now on is served here.
    pub(super) fn relieve(self) -> Result<()> {
        send(&self.0, Message::Ready, &[])
    }
}

fn socket() -> rustix::io::Result<OwnedFd> {
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
}

fn bound(path: &Path) -> Result<OwnedFd> {
    let draft = path.with_extension("new");
    match fs::remove_file(&draft) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let socket = socket()?;
    bind(&socket, &SocketAddrUnix::new(&draft)?)?;
    fs::set_permissions(&draft, fs::Permissions::from_mode(MODE))?;
    listen(&socket, BACKLOG)?;
    // In one step: there is always somebody to ask.
    fs::rename(&draft, path)?;
    Ok(socket)
}

fn set_timeout(socket: &OwnedFd) -> rustix::io::Result<()> {
    for which in [sockopt::Timeout::Recv, sockopt::Timeout::Send] {
        sockopt::set_socket_timeout(socket, which, Some(TIMEOUT))?;
    }
    Ok(())
}

fn send(socket: &OwnedFd, message: Message, descriptors: &[BorrowedFd<'_>]) -> Result<()> {
    let text = serde_json::to_vec(&message)?;
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors)) {
        bail!("too many descriptors in a message: {}", descriptors.len());
    }
    sendmsg(socket, &[IoSlice::new(&text)], &mut ancillary, SendFlags::NOSIGNAL)
        .context("the other lbd does not listen")?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> Result<(Message, Vec<OwnedFd>)> {
    let mut text = [0; MESSAGE_BYTES_MAX];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut into = [IoSliceMut::new(&mut text)];
    let received = recvmsg(socket, &mut into, &mut ancillary, RecvFlags::CMSG_CLOEXEC)
        .context("the other lbd says nothing")?;
    if received.bytes == 0 {
        bail!("the other lbd is gone");
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        bail!("a message does not fit; too few files may be open (ulimit -n)");
    }
    let mut descriptors = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(some) = message {
            descriptors.extend(some);
        }
    }
    let text = text.get(..received.bytes).unwrap_or_default();
    Ok((
        serde_json::from_slice(text).context("the other lbd speaks another language")?,
        descriptors,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rustix::net::socketpair;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_successor_gets_the_lock_and_every_socket() {
        let directory = tempfile::tempdir().unwrap();
        let instance = Instance::new("one", directory.path()).unwrap();
        fs::create_dir_all(instance.directory()).unwrap();
        assert!(Predecessor::ask(&instance).unwrap().is_none());

        let (events, mut received) = mpsc::channel(1);
        let file = fs::File::create(instance.lock()).unwrap();
        offer(&instance, file.into(), events).unwrap();
        let mut sockets = Inherited::default();
        // More than one message holds.
        let any = "127.0.0.1:0".parse().unwrap();
        sockets.add(Bound::open(any, Transport::Tcp, DESCRIPTORS_MAX + 1).unwrap(), false);
        sockets.add(Bound::open(any, Transport::Udp, 2).unwrap(), true);
        let expected = shape(&sockets);

        let successor = tokio::task::spawn_blocking(move || {
            let predecessor = Predecessor::ask(&instance).unwrap().unwrap();
            let estate = predecessor.take().unwrap();
            predecessor.relieve().unwrap();
            shape(&estate.sockets)
        });
        let Some(Event::HandOver(offer)) = received.recv().await else { panic!() };
        tokio::task::spawn_blocking(move || offer.hand_over(&sockets).unwrap()).await.unwrap();
        assert_eq!(successor.await.unwrap(), expected);
    }

    fn shape(sockets: &Inherited) -> Vec<(SocketAddr, Transport, usize, bool)> {
        let one = |(it, steered): (&Bound, bool)| {
            assert!(
                it.sockets.iter().all(|s| s.local_addr().unwrap().as_socket() == Some(it.address))
            );
            (it.address, it.transport, it.sockets.len(), steered)
        };
        sockets.groups().map(one).collect()
    }

    /// A message, or something like one.
    fn said() -> impl Strategy<Value = Vec<u8>> {
        let message = prop_oneof![
            Just(Message::TakeOver),
            Just(Message::Lock),
            any::<(SocketAddr, bool, bool)>().prop_map(|(address, is_udp, is_steered)| {
                Message::Sockets { address, is_udp, is_steered }
            }),
            Just(Message::End),
            Just(Message::Ready),
        ];
        let text = message.prop_map(|it| serde_json::to_vec(&it).unwrap());
        let cut = (text.clone(), any::<prop::sample::Index>()).prop_map(|(mut text, at)| {
            text.truncate(at.index(text.len()).max(1));
            text
        });
        let bytes = prop::collection::vec(any::<u8>(), 1..2 * MESSAGE_BYTES_MAX);
        prop_oneof![6 => text, 1 => cut, 1 => bytes]
    }

    proptest! {
        #[test]
        fn whatever_a_predecessor_says_is_taken_or_refused(
            all in prop::collection::vec((said(), 0_usize..4), 0..8),
        ) {
            let flags = SocketFlags::CLOEXEC;
            let pair = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None);
            let (ours, theirs) = pair.unwrap();
            let any = fs::File::open("/dev/null").unwrap();
            let is_whole = |text: &[u8]| serde_json::from_slice::<Message>(text).ok();
            for (text, count) in &all {
                let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(4))];
                let mut ancillary = SendAncillaryBuffer::new(&mut space);
                let descriptors = vec![any.as_fd(); *count];
                if *count > 0 {
                    ancillary.push(SendAncillaryMessage::ScmRights(&descriptors));
                }
                let text = [IoSlice::new(text)];
                sendmsg(&theirs, &text, &mut ancillary, SendFlags::NOSIGNAL).unwrap();
            }
            drop(theirs);
            let taken = Predecessor(ours).take();
            let told = all.iter().map(|(text, count)| (is_whole(text), *count));
            let until_end: Vec<_> =
                told.take_while(|(message, _)| *message != Some(Message::End)).collect();
            let good = |(message, _): &(Option<Message>, usize)| {
                matches!(message, Some(Message::Lock | Message::Sockets { .. }))
            };
            let last_lock = until_end.iter().rev().find(|it| it.0 == Some(Message::Lock));
            let is_good = until_end.len() < all.len()
                && until_end.iter().all(good)
                && last_lock.is_some_and(|(_, count)| *count > 0);
            prop_assert_eq!(taken.is_ok(), is_good, "{:?}", taken.map(drop));
        }
    }
}
