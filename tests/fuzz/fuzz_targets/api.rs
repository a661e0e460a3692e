//! Requests at the daemon's own socket. Must hold whatever they say: no panic, an answer, and none that
//! says that the daemon failed. A state to compare with is compiled without the kernel's routes.
#![no_main]

mod edit;
mod run;

use std::{cell::RefCell, fs, path::Path, sync::Arc};

use axum::{Router, body::Body, http::Request};
use lb_userspace::{
    admin::{Api, NoMaps, Status, resource::GenerationResource, router},
    config::check_file,
    health::HealthBoard,
    model::Desired,
    proxy::{
        snapshot::{Context, Snapshot},
        worker::Common,
    },
    reconcile::{Image, Observed, compile},
};
use libfuzzer_sys::{
    arbitrary::{self, Arbitrary},
    fuzz_target,
};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    sync::{mpsc, watch},
};
use tower_service::Service as _;

use edit::Edits;

#[derive(Arbitrary, Debug)]
enum Input<'a> {
    Path(&'a str),
    Flows(&'a str),
    Drain(&'a str),
    Trace(Edits<'a>),
    Why(Edits<'a>),
    Body { path: Post, bytes: &'a [u8] },
    State { of: u8, edits: Edits<'a> },
}

#[derive(Arbitrary, Clone, Copy, Debug)]
enum Post {
    Trace,
    Why,
}

impl Post {
    const fn path(self) -> &'static str {
        match self {
            Self::Trace => "/v1/trace",
            Self::Why => "/v1/why",
        }
    }
}

struct Daemon {
    runtime: Runtime,
    router: RefCell<Router>,
    states: Vec<Value>,
}

thread_local! {
    static DAEMON: Daemon = Daemon::new();
}

fuzz_target!(|input: Input<'_>| DAEMON.with(|daemon| match input {
    Input::Path(path) => daemon.ask("GET", path, Vec::new()),
    Input::Flows(query) => daemon.ask("GET", &format!("/v1/flows?{query}"), Vec::new()),
    Input::Drain(key) => daemon.ask("PUT", &format!("/v1/drains/{key}"), Vec::new()),
    Input::Trace(edits) => daemon.post(Post::Trace, &edits, &trace()),
    Input::Why(edits) => daemon.post(Post::Why, &edits, &request()),
    Input::Body { path, bytes } => daemon.ask("POST", path.path(), bytes.to_vec()),
    Input::State { of, edits } => {
        let state = &daemon.states[usize::from(of) % daemon.states.len()];
        let edited = edits.of(std::slice::from_ref(state)).remove(0);
        if let Ok(desired) = serde_json::from_value::<Desired>(edited) {
            run::run(&desired);
        }
    }
}));

fn trace() -> Value {
    json!({
        "protocol": "tcp", "source": "198.51.100.7:40000", "destination": "192.0.2.10:80",
        "opens": true, "interface": null,
    })
}

fn request() -> Value {
    json!({
        "url": "http://a.example/guarded/x?a=b", "method": "GET",
        "headers": [["Cookie", "a=b"], ["Host", "a.example"]], "to": null, "from": null,
    })
}

impl Daemon {
    fn new() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = fs::read_dir(here.join("../corpus/config/valid")).unwrap();
        let mut paths: Vec<_> = folder.map(|it| it.unwrap().path()).collect();
        paths.sort();
        let states = paths.iter().filter_map(|path| check_file(path).desired);
        let states = states.map(|it| serde_json::to_value(it).unwrap()).collect();
        let desired = check_file(&here.join("site/site.yaml")).desired.unwrap();
        Self { runtime, router: RefCell::new(router(api(&desired))), states }
    }

    fn post(&self, path: Post, edits: &Edits<'_>, of: &Value) {
        let edited = edits.of(std::slice::from_ref(of)).remove(0);
        self.ask("POST", path.path(), edited.to_string().into_bytes());
    }

    fn ask(&self, method: &str, path: &str, body: Vec<u8>) {
        let request = Request::builder().method(method).uri(path);
        let request = request.header("content-type", "application/json").body(Body::from(body));
        // Others cannot be read from a connection.
        let Ok(request) = request else { return };
        let answer = self.router.borrow_mut().call(request);
        let answer = self.runtime.block_on(answer).unwrap();
        // No program is loaded, and nobody hears commands.
        let is_expected = [path.starts_with("/v1/trace"), path.starts_with("/v1/drains")];
        assert!(!answer.status().is_server_error() || is_expected.contains(&true), "{answer:?}");
    }
}

fn api(desired: &Desired) -> Api {
    let nothing = Snapshot::default();
    let context = Context { previous: &nothing, seed: 1, worker_count: 1 };
    let common = Common::default();
    common.snapshot.store(Arc::new(Snapshot::compile(&desired.proxy, 1, context)));
    let observed = Observed::default();
    let image = compile(desired, &observed, &Image::default()).unwrap().image;
    let status = Status {
        image: Arc::new(image),
        observed: Arc::new(observed),
        generation: GenerationResource::new("fuzz", 1),
        problems: Vec::new(),
        drained_endpoints: <_>::default(),
    };
    Api {
        status: Arc::new(Arc::new(status).into()),
        inspect: Arc::new(NoMaps),
        proxy: Arc::new(common),
        board: HealthBoard::default(),
        commands: mpsc::channel(1).0,
        clusters: watch::channel(Vec::new()).1,
        told: watch::channel(Arc::default()).1,
    }
}
