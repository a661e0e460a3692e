//! The whole way of a request through routes and filters, on arbitrary bytes of a client. Must hold
//! whatever the input: no panic, an end when the client has said all, and answers that are HTTP.
#![no_main]

mod input;
mod serve;

use std::{path::Path, rc::Rc, sync::Arc};

use lb_proxy::{
    http::{
        Method,
        h1::{
            request::Limits,
            response::{ResponseHead, ResponseReader},
        },
    },
    snapshot::{Context, Snapshot},
    worker::{Common, Worker},
};
use lb_userspace::config::check_file;
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};

use input::Input;

thread_local! {
    static COMMON: Arc<Common> = common();
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Kind {
    /// What the client sends.
    Stream,
    /// Fields of one request.
    Fields { path: Place },
}

/// Paths of the rules in `site/site.yaml`.
#[derive(Arbitrary, Clone, Copy, Debug)]
enum Place {
    Guarded,
    Cors,
    Moved,
    Text,
    Nobody,
    Signed,
}

fuzz_target!(|input: Input<'_, Kind>| {
    let common = COMMON.with(Arc::clone);
    let sent = match input.kind {
        Kind::Stream => input.bytes.to_vec(),
        Kind::Fields { path } => {
            let path = format!("{path:?}").to_lowercase();
            let line = format!("GET /{path}/x?a=b HTTP/1.1\r\nHost: a.example\r\n");
            [line.as_bytes(), input.bytes, b"\r\n\r\n"].concat()
        }
    };
    let got = serve::run(async {
        let worker = Rc::new(Rc::new(Worker::new(0, common)));
        serve::served(&worker, input.pieces.of(&sent)).await
    });
    if !got.is_empty() && !sent.starts_with(b"P") {
        let limits = Limits { bytes_max: 1 << 20, fields_max: 1_000 };
        let mut head = ResponseHead::default();
        let read = ResponseReader::default().next(&got, &Method::Head, limits, &mut head);
        assert!(matches!(read, Ok(Some(_))), "{read:?}: {}", String::from_utf8_lossy(&got));
    }
});

fn common() -> Arc<Common> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("site/site.yaml");
    let checked = check_file(&file);
    let desired = checked.desired.unwrap_or_else(|| panic!("{}", checked.diagnostics));
    let nothing = Snapshot::default();
    let context = Context { previous: &nothing, seed: 1, worker_count: 1 };
    let snapshot = Snapshot::compile(&desired.proxy, 1, context);
    let common = Common::default();
    common.snapshot.store(Arc::new(snapshot));
    Arc::new(common)
}
