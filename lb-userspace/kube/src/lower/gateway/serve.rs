//! From a listener of a Gateway to one of the proxy.

use super::{Draft, ListenerDraft};
use crate::lower::listener;
use lb_model::Listener;

/// Serves a listener, if it has what it needs.
pub(super) fn serve(draft: &mut Draft<'_>, name: String, listener: &mut ListenerDraft) {
    if listener.addresses.is_empty() || !listener.is_servable() {
        return;
    }
    let model = Listener {
        host: listener.host.clone(),
        tls: listener.tls.clone(),
        ..listener::listener(&listener.addresses, listener.port, listener.protocol)
    };
    draft.desired.proxy.listeners.insert(name.clone(), model);
    listener.name = Some(name);
}
