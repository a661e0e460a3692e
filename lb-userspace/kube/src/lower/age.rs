//! Which of two objects came first.

use kube::Resource;

/// When an object was made, seconds since the Unix epoch; 0 if it does not say.
pub(super) fn created(object: &impl Resource) -> u64 {
    let time = object.meta().creation_timestamp.as_ref();
    time.and_then(|it| u64::try_from(it.0.as_second()).ok()).unwrap_or(0)
}
