//! `get generation` and `status`: does what runs equal what is wanted?

use super::{API_VERSION, vip::backends_active};
use crate::reconcile::Image;
use serde::{Deserialize, Serialize};

/// Where the daemon stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct GenerationResource {
    /// `lb.internal/v1`.
    pub api_version: String,
    /// `Generation`.
    pub kind: String,
    /// Instance.
    pub instance: String,
    /// Version of the daemon; `null` = it does not run.
    pub daemon_version: Option<String>,
    /// Generation that the current inputs ask for; `null` = not known without the daemon.
    pub desired: Option<u64>,
    /// Generation in the maps.
    pub applied: u64,
    /// The configuration source; `null` = not known without the daemon.
    pub configuration: Option<ConfigurationStatus>,
    /// Interfaces that traffic arrives on.
    pub interfaces: Vec<InterfaceResource>,
    /// What is not as it should be, a sentence each; empty = all is well.
    pub degraded: Vec<String>,
}

/// The configuration source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConfigurationStatus {
    /// Path as given.
    pub file: String,
    /// When the configuration in force was read, milliseconds since the Unix epoch.
    pub loaded_ms: u64,
    /// Why the newest version of the file is not in force; `null` = it is.
    pub last_error: Option<String>,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceResource {
    /// Name.
    pub name: String,
    /// `native` or `generic`; `null` = not attached.
    pub attach_mode: Option<String>,
    /// Why not native.
    pub reason: Option<String>,
}

impl GenerationResource {
    /// `kind` of the object.
    pub const KIND: &'static str = "Generation";

    /// An object about `instance` with nothing known but the applied generation.
    pub fn new(instance: &str, applied: u64) -> Self {
        Self {
            api_version: API_VERSION.to_owned(),
            kind: Self::KIND.to_owned(),
            instance: instance.to_owned(),
            daemon_version: None,
            desired: None,
            applied,
            configuration: None,
            interfaces: Vec::new(),
            degraded: Vec::new(),
        }
    }
    /// Fills [`Self::degraded`] from the other fields and `image`.
    pub fn judge(&mut self, image: &Image) {
        let mut degraded = Vec::new();
        if self.desired.is_some_and(|desired| desired != self.applied) {
            degraded.push(format!(
                "generation {} is wanted, {} is applied",
                self.desired.unwrap_or_default(),
                self.applied
            ));
        }
        if self.configuration.as_ref().is_some_and(|source| source.last_error.is_some()) {
            degraded.push("the newest configuration is not in force".to_owned());
        }
        for interface in &self.interfaces {
            match interface.attach_mode.as_deref() {
                Some("native") => {}
                Some(mode) => degraded.push(format!("{} runs {mode} XDP", interface.name)),
                None => degraded.push(format!("{} is not attached", interface.name)),
            }
        }
        let forwarded = image.vips.iter().filter(|(_, vip)| !vip.entry.is_proxied());
        let dead = forwarded.filter(|(_, vip)| backends_active(vip) == 0);
        degraded.extend(dead.map(|(vip, _)| format!("{vip} has no usable backend")));
        self.degraded = degraded;
    }
}
