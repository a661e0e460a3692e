//! What the daemon tells about itself.

use super::Daemon;
use crate::{
    admin::{
        Status,
        resource::{ConfigurationStatus, GenerationResource, InterfaceResource},
    },
    proxy::snapshot::Problem,
    reconcile::{AttachState, Attached, Engine},
};
use std::{error::Error, sync::Arc};

impl<E: Engine<Error: Error + 'static>> Daemon<E> {
    /// Publishes the status as it is now.
    pub(super) fn publish(&mut self) {
        let driver = &self.parts.driver;
        let image = Arc::new(driver.running().clone());
        let mut generation = GenerationResource::new(&self.parts.instance, image.generation);
        generation.daemon_version = Some(env!("CARGO_PKG_VERSION").to_owned());
        generation.desired = Some(driver.wanted_generation());
        generation.configuration = Some(ConfigurationStatus {
            file: self.parts.file.clone(),
            loaded_ms: self.loaded_ms,
            last_error: self.last_error.clone(),
        });
        generation.interfaces = driver.attachments().iter().map(interface).collect();
        generation.judge(&image);
        let told = |Problem { object, why }: &Problem| format!("{object}: {why}");
        generation.degraded.extend(self.problems.iter().map(told));
        let observed = Arc::new(driver.observed().clone());
        self.status.store(Arc::new(Status {
            image,
            observed,
            generation,
            problems: self.problems.clone(),
            drained_endpoints: self.parts.proxy.drained(),
        }));
    }
}

/// Logs how an interface forwards.
pub(super) fn log_attached(attached: &Attached) {
    let interface = &attached.interface;
    match &attached.state {
        AttachState::Native => tracing::info!(interface, "forwards in native XDP"),
        AttachState::Generic(reason) => {
            tracing::warn!(interface, reason, "forwards in generic XDP, which is slower");
        }
        AttachState::Failed(reason) => tracing::error!(interface, reason, "does not forward"),
    }
}

/// An attachment as the API tells it.
pub fn interface(attached: &Attached) -> InterfaceResource {
    let (attach_mode, reason) = match &attached.state {
        AttachState::Native => (Some("native"), None),
        AttachState::Generic(reason) => (Some("generic"), Some(reason.clone())),
        AttachState::Failed(reason) => (None, Some(reason.clone())),
    };
    InterfaceResource {
        name: attached.interface.clone(),
        attach_mode: attach_mode.map(ToOwned::to_owned),
        reason,
    }
}
