//! The configuration file. Must hold whatever it says: no panic, a bounded list of findings, and what
//! is taken can be written, read, compiled for the maps and compiled for the proxy.
#![no_main]

mod run;

use lb_userspace::config::{DIAGNOSTICS_MAX, check};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = str::from_utf8(bytes) else { return };
    let checked = check("lb.yaml", text);
    assert!(checked.diagnostics.iter().count() <= DIAGNOSTICS_MAX);
    assert_eq!(checked.desired.is_none(), checked.diagnostics.has_errors());
    let _ = checked.diagnostics.to_string();
    if let Some(desired) = checked.desired {
        run::run(&desired);
    }
});
