//! A connection with what was read from it and what is to be written, for all versions of HTTP
//! whose frames are read here.

mod input;
mod output;
mod timer;

pub(in crate::http) use input::Input;
pub(in crate::http) use output::Output;
pub(in crate::http) use timer::Timer;

use crate::io::Io;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::AsyncWrite;

/// A connection.
pub(in crate::http) struct Wire {
    io: Io,
    pub(in crate::http) input: Input,
    pub(in crate::http) output: Output,
}

/// Something that a [`Wire`] is part of.
pub(in crate::http) trait HasWire {
    fn wire(&mut self) -> &mut Wire;
}

impl HasWire for Wire {
    fn wire(&mut self) -> &mut Wire {
        self
    }
}

impl Wire {
    pub(in crate::http) fn new(io: Io) -> Self {
        Self { io, input: Input::default(), output: Output::default() }
    }

    /// Reads more; 0 = the peer will send nothing more.
    pub(in crate::http) fn poll_fill(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.input.poll_fill(&mut self.io, context)
    }

    /// Writes what is to be written.
    pub(in crate::http) fn poll_flush(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.output.poll_flush(&mut self.io, context)
    }

    /// Says that nothing more will be written.
    pub(in crate::http) fn poll_shutdown(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }

    /// Whether it is TCP without TLS: all that was written is sent, and its end, once it is closed.
    pub(in crate::http) fn is_plain(&self) -> bool {
        self.output.is_empty() && matches!(self.io, Io::Tcp(_))
    }

    /// Makes the end, when it comes, an abort: for a message that must not look complete.
    pub(in crate::http) fn abort(&self) {
        if let Some(socket) = self.io.tcp() {
            let socket = socket2::SockRef::from(socket);
            // A socket that refuses is closed already.
            drop(socket.set_linger(Some(Duration::ZERO)));
        }
    }
}
