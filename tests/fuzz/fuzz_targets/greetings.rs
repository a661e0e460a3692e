//! What the proxy reads from strangers before it knows who they are: the greeting of TLS and the
//! header of the PROXY protocol. Must hold whatever the input: no panic, and the same result
//! however the bytes are cut.
#![no_main]

use lb_proxy::{secure::parse_hello, stream::proxy_protocol};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some((length, _))) = proxy_protocol::parse(bytes) {
        assert!(length <= bytes.len());
        assert_eq!(proxy_protocol::parse(&bytes[..length - 1]), Ok(None));
    }
    let whole = parse_hello(bytes);
    if let Ok(Some(_)) = &whole {
        let mut longer = bytes.to_vec();
        longer.extend([0xff; 7]);
        assert_eq!(parse_hello(&longer), whole);
    }
    if let Some(begin) = bytes.len().checked_sub(1).and_then(|end| bytes.get(..end)) {
        // A beginning that is refused is refused with what follows it.
        if let Err(error) = parse_hello(begin) {
            assert_eq!(whole, Err(error));
        }
    }
});
