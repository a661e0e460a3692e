//! The kernel's data plane as the driver's engine.

use crate::{
    dataplane::{AttachMode, Attachment, Dataplane, DataplaneError},
    reconcile::{AttachState, Attached, Engine, Tables},
};

impl Engine for Dataplane {
    fn read(&mut self) -> Result<Tables, DataplaneError> {
        self.tables()
    }

    fn attach(&mut self, interfaces: &[String]) -> Result<Vec<Attached>, DataplaneError> {
        let (attachments, failure) = match Self::attach(self, interfaces) {
            Ok(attachments) => (attachments, None),
            // The others were served: the kernel tells which.
            Err(error) => (self.attachments()?, Some(error)),
        };
        let reason = failure.map_or_else(|| "not attached".to_owned(), |error| error.to_string());
        let attached = |interface: &String| {
            let found = attachments.iter().find(|one| one.interface == *interface);
            let state = found.map_or_else(|| AttachState::Failed(reason.clone()), state);
            Attached { interface: interface.clone(), state }
        };
        Ok(interfaces.iter().map(attached).collect())
    }
}

/// How an attachment runs, in the driver's words.
pub fn attached(attachment: &Attachment) -> Attached {
    Attached { interface: attachment.interface.clone(), state: state(attachment) }
}

fn state(attachment: &Attachment) -> AttachState {
    match attachment.mode {
        AttachMode::Native => AttachState::Native,
        AttachMode::Generic => AttachState::Generic(
            attachment.native_error.clone().unwrap_or_else(|| "adopted so".to_owned()),
        ),
    }
}
