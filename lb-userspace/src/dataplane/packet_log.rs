//! Records that the forwarding program logs, packet by packet.

use super::{
    error::{DataplaneError, Result},
    load::FORWARD,
    pin::Pins,
};
use aya::programs::ProgramInfo;
use aya_log::EbpfLogger;
use std::{convert::Infallible, io, time::Duration};

/// Time between readings: the kernel's ring holds what comes in between, or drops the rest.
const TICK: Duration = Duration::from_millis(100);

/// Reads the log of the pinned program for as long as the future is polled.
pub(super) fn read(pins: &Pins) -> Result<impl Future<Output = Infallible> + Send + use<>> {
    let info = ProgramInfo::from_pin(pins.program(FORWARD))
        .map_err(DataplaneError::program(FORWARD, "reading its information"))?;
    let mut logger = EbpfLogger::init_from_id(info.id())
        .map_err(|error| failed()(io::Error::other(error.to_string())))?;
    Ok(async move {
        let mut ticks = tokio::time::interval(TICK);
        loop {
            ticks.tick().await;
            logger.flush();
        }
    })
}

fn failed() -> impl FnOnce(io::Error) -> DataplaneError {
    DataplaneError::io("reading the packet log")
}
