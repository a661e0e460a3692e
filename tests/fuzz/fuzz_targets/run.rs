//! What becomes of a desired state, as far as nothing but memory is needed.

use lb_proxy::snapshot::{Context, Snapshot};
use lb_userspace::{
    model::Desired,
    reconcile::{Image, Observed, compile},
};

/// Writes a state, reads it, and compiles it for maps and proxy.
pub fn run(desired: &Desired) {
    let written = serde_json::to_vec(desired).unwrap();
    let read: Desired = serde_json::from_slice(&written).unwrap();
    // Not the states themselves: secrets are not written.
    assert_eq!(serde_json::to_vec(&read).unwrap(), written, "what is written is not what is read");
    let observed = Observed::default();
    if let Ok(first) = compile(desired, &observed, &Image::default()) {
        let again = compile(desired, &observed, &first.image).unwrap();
        assert_eq!(again.image, first.image, "the same state is another image");
    }
    let nothing = Snapshot::default();
    let context = Context { previous: &nothing, seed: 1, worker_count: 2 };
    let first = Snapshot::compile(&desired.proxy, 1, context);
    Snapshot::compile(&desired.proxy, 2, Context { previous: &first, ..context });
}
