//! The examples of gateways, run from their own files, with the real curl as the client.
//!
//! Only the interfaces are put in place of the example's, and an IPv6 VIP beside the IPv4 one;
//! names of services are told to lbd by `/etc/hosts`. Needs root.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail the test; JSON is looked into by name"
)]

use std::{
    fmt::Write as _,
    fs,
    net::IpAddr,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use lb_tests::{
    authority::Authority,
    curl::{Answer, Curl},
    lab::{Family, Host, Lab, Options},
    lbd::Daemon,
    origin::{Origin, Request, Response, echo},
    services::INTERFACES,
    wait::eventually,
};
use serde_json::Value;

/// How long anything may take.
const LIMIT: Duration = Duration::from_mins(1);
/// Longer than the example waits for the authorisation service.
const SLOW: Duration = Duration::from_secs(2);
/// What the authorisation service is asked for.
const VERIFY: &str =
    "/api/v1alpha/verify_system_permission?permission=access_developer_environments&url=";

/// A file of an example, on the lab's interfaces and with an IPv6 VIP for each IPv4 one.
fn example(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/examples");
    let text = fs::read_to_string(folder.join(file)).unwrap();
    let text =
        text.replace("interfaces: [eth0]", &format!("interfaces: [{}]", INTERFACES.join(", ")));
    let mut out = String::new();
    for line in text.lines() {
        let mut line = line.to_owned();
        if line.trim_start().starts_with("vips: [") {
            let six = line.replace("192.0.2.", "[2001:db8::").replace(':', "\u{0}");
            let vips: Vec<_> = six.split('"').skip(1).step_by(2).collect();
            for vip in vips {
                let (address, port) = vip.rsplit_once('\u{0}').unwrap();
                let vip = format!("{}]:{port}", address.replace('\u{0}', ":"));
                line = line.replace("\"]", &format!("\", \"{vip}\"]"));
            }
        }
        writeln!(out, "{line}").unwrap();
    }
    out
}

/// An example at work.
struct Example {
    // Before the lab, so that it goes first.
    daemon: Daemon,
    lab: Lab,
    vip: u8,
}

impl Example {
    /// lbd with the file, ready to be started; `hosts` are names of services and where they are.
    fn prepare(file: &str, vip: u8) -> Self {
        let lab = Lab::up(&Options { backend_count: 3, vips_on_backends: Vec::new() }).unwrap();
        let daemon = Daemon::prepare(&lab, &example(file)).unwrap();
        Self { daemon, lab, vip }
    }

    fn start(&mut self, hosts: &[(&str, usize)]) {
        let lines = hosts.iter().map(|(name, backend)| {
            let host = &self.lab.backends()[*backend];
            format!("{} {name}\n", host.address_v4())
        });
        self.daemon.set_hosts(&lines.collect::<String>()).unwrap();
        self.daemon.run().unwrap();
    }

    fn host(&self, index: usize) -> &Host {
        &self.lab.backends()[index]
    }

    fn curl(&self, family: Family) -> Curl {
        let to = match family {
            Family::V4 => IpAddr::from([192, 0, 2, self.vip]),
            Family::V6 => format!("2001:db8::{}", self.vip).parse().unwrap(),
        };
        let authority = self.daemon.file().with_file_name("tls").join("ca.pem");
        Curl::new(self.lab.client(), to).trusting(authority)
    }

    /// Waits until a URL is answered with this status.
    fn wait_for(&self, url: &str, status: u16) {
        self.until(url, &[], |it| it.status == status);
    }

    /// Asks with these options of curl until the answer fits: names take a moment to be resolved.
    fn until(&self, url: &str, options: &[&str], fits: impl Fn(&Answer) -> bool) -> Answer {
        let mut last = None;
        let seen = eventually(LIMIT, url, || {
            last = Some(self.curl(Family::V4).get(url, options));
            last.as_ref()?.as_ref().ok().filter(|it| fits(it)).cloned()
        });
        assert!(seen.is_ok(), "{last:?}\n{}", self.daemon.lines().join("\n"));
        seen.unwrap()
    }

    /// The lines of the access log that fit.
    fn logged(&self, fits: impl Fn(&Value) -> bool) -> Vec<Value> {
        let lines = self.daemon.lines();
        let values = lines.iter().filter_map(|line| serde_json::from_str(line).ok());
        values.filter(|value| fits(value)).collect()
    }
}

#[test]
fn the_gateway_for_webhooks_serves_what_its_file_says() {
    let mut example = Example::prepare("tekton-gateway/gateway.yaml", 90);
    let trigger = Origin::start(example.host(0), 80, None).unwrap();
    let controller = Origin::start(example.host(1), 8080, None).unwrap();
    example.start(&[
        ("httpecho.trigger.svc.cluster.local", 0),
        ("pipelines-as-code-controller.openshift-pipelines.svc.cluster.local", 1),
    ]);
    example.wait_for("http://gateway.example/trigger", 200);
    example.wait_for("http://gateway.example/", 503);
    example.until("http://gateway.example/", &["-H", "X-GitHub-Event: a"], |it| it.status == 200);

    let names = [0, 1].map(|index| example.host(index).name().to_owned());
    for family in Family::BOTH {
        for port in [80, 8080] {
            let get = |path: &str, options: &[&str]| {
                let url = format!("http://gateway.example:{port}{path}");
                example.curl(family).get(&url, options).unwrap()
            };
            for path in ["/trigger", "/TRIGGER/a", "/Trigger/a?b=c"] {
                let answer = get(path, &[]);
                assert_eq!(answer.status, 200, "{family} {port} {path}");
                let told = answer.json();
                assert_eq!((&told["origin"], &told["path"]), (&(*names[0]).into(), &path.into()));
                let client = example.lab.client().address(family).to_string();
                assert_eq!(told["headers"]["x-forwarded-for"], client, "{path}");
            }
            let event = ["-H", "x-gitHub-event: push", "--data", "{}"];
            let answer = get("/hook", &event);
            assert_eq!((answer.status, &answer.json()["origin"]), (200, &(*names[1]).into()));
            // A path goes before a header field.
            assert_eq!(get("/trigger", &event).json()["origin"], *names[0]);
            for path in ["/", "/hook", "/triggers"] {
                let answer = get(path, &[]);
                assert_eq!(answer.status, 503, "{path}");
                assert_eq!(answer.body, "No server is available to handle this request.\n");
            }
        }
    }
    assert!(!trigger.requests().is_empty() && !controller.requests().is_empty());
    let is_logged =
        || (!example.logged(|line| line["path"] == "/triggers").is_empty()).then_some(());
    eventually(LIMIT, "the access log", is_logged).unwrap();
}

/// The services behind the gateways of the batch service.
struct Hail {
    example: Example,
    /// The default namespace: asks for a certificate of the gateway.
    services: Origin,
    /// The authorisation service, in the default namespace too.
    auth: Option<Origin>,
    /// The namespaces of pull requests, whose authority nobody knows.
    strangers: Origin,
    /// What the authorisation service answers; 0 is too late.
    verdict: Arc<AtomicU16>,
}

impl Hail {
    fn start(file: &str, vip: u8, name: &str) -> Self {
        let mut example = Example::prepare(file, vip);
        let authority = Authority::new().unwrap();
        let write = |name: &str, text: &str| example.daemon.write_beside(name, text).unwrap();
        write("tls/ca.pem", &authority.pem());
        for (name, of) in [("hail", &["hail.example", "*.hail.example"][..]), (name, &[name])] {
            let issued = authority.issue(of).unwrap();
            write(&format!("tls/{name}.pem"), &issued.chain);
            write(&format!("tls/{name}.key"), &issued.key);
        }
        let pods = authority.issue(&["*.default.svc.cluster.local"]).unwrap();
        let tls = pods.server(Some(&authority)).unwrap();
        let strangers = Authority::new().unwrap().issue(&["nobody.example"]).unwrap();
        let services = Origin::start(example.host(0), 443, Some(Arc::clone(&tls))).unwrap();
        let strangers =
            Origin::start(example.host(1), 443, Some(strangers.server(None).unwrap())).unwrap();
        let verdict = Arc::new(AtomicU16::new(200));
        let said = Arc::clone(&verdict);
        let auth = Origin::answering(example.host(2), 443, Some(tls), move |request| {
            authorise(request, said.load(Ordering::SeqCst))
        });
        let names = ["www", "batch", "batch-driver", "ci"].map(|it| (it, "default", 0));
        let others = [
            ("auth", "default", 2),
            ("letsencrypt", "default", 0),
            ("auth", "pr-12345", 1),
            ("batch", "pr-12345", 1),
            ("batch-driver", "pr-12345", 1),
            ("batch", "alice", 1),
        ];
        let names = names.iter().chain(&others);
        let hosts: Vec<_> = names
            .map(|(service, namespace, at)| {
                (format!("{service}.{namespace}.svc.cluster.local"), *at)
            })
            .collect();
        let hosts: Vec<_> = hosts.iter().map(|(name, at)| (name.as_str(), *at)).collect();
        example.start(&hosts);
        Self { example, services, auth: Some(auth.unwrap()), strangers, verdict }
    }

    fn get(&self, url: &str, options: &[&str]) -> Answer {
        self.example.curl(Family::V4).get(url, options).unwrap()
    }

    /// The answer if the authorisation service has said something: the example waits for it no longer
    /// than a busy machine may take.
    fn get_judged(&self, url: &str, options: &[&str]) -> Answer {
        self.example.until(url, options, |it| it.status != 503)
    }

    /// From now on the authorisation service says this.
    fn say(&self, verdict: u16) {
        self.verdict.store(verdict, Ordering::SeqCst);
    }

    /// What the authorisation service was asked, by path.
    fn questions(&self) -> Vec<Request> {
        let asked = self.auth.iter().flat_map(Origin::requests);
        asked.filter(|request| request.path.starts_with(VERIFY)).collect()
    }
}

/// The authorisation service: it serves its own requests, too.
fn authorise(request: &Request, verdict: u16) -> Response {
    if !request.path.starts_with(VERIFY) {
        return echo("auth", request);
    }
    if verdict == 0 {
        thread::sleep(SLOW);
    }
    Response { status: verdict.max(200), ..Response::default() }
}

#[test]
fn the_gateway_from_the_internet_serves_what_its_file_says() {
    let mut hail = Hail::start("hail-gateways/gateway.yaml", 80, "gateway");
    let acme = Origin::start(hail.example.host(0), 80, None).unwrap();
    for name in ["www", "batch", "batch-driver", "auth", "ci"] {
        hail.example.wait_for(&format!("https://{name}.hail.example/"), 200);
    }
    assert_plain(&hail, &acme);
    assert_open(&hail);
    assert_guarded(&mut hail);
}

/// Port 80: challenges go to the authority's service, the rest to https.
fn assert_plain(hail: &Hail, acme: &Origin) {
    let challenge = "http://batch.hail.example/.well-known/acme-challenge/token";
    hail.example.wait_for(challenge, 200);
    for family in Family::BOTH {
        let get = |url: &str| hail.example.curl(family).get(url, &[]).unwrap();
        let answer = get(challenge);
        assert_eq!(answer.status, 200, "{family}");
        let answer = get("http://batch.hail.example/a?b=c");
        assert_eq!(answer.status, 301, "{family}");
        assert_eq!(answer.field("location"), Some("https://batch.hail.example/a?b=c"));
        assert_eq!(get("http://bogus-for-revoke.hail.example/").status, 404, "{family}");
    }
    let paths: Vec<_> = acme.requests().into_iter().map(|it| it.path).collect();
    assert_eq!(paths, ["/.well-known/acme-challenge/token"; 3]);
}

/// Production: nobody is asked, and pods are spoken to over TLS, with a certificate.
fn assert_open(hail: &Hail) {
    for family in Family::BOTH {
        for option in ["--http1.1", "--http2"] {
            let forged = ["-H", "X-Real-IP: 203.0.113.9", option];
            let answer = hail
                .example
                .curl(family)
                .get("https://batch.hail.example/api?a=b", &forged)
                .unwrap();
            assert_eq!(answer.status, 200, "{family} {option}");
            let strict = Some("max-age=63072000; includeSubDomains;");
            assert_eq!(answer.field("strict-transport-security"), strict);
            assert_eq!(answer.field("x-content-type-options"), Some("nosniff"));
            let told = answer.json();
            assert_eq!(told["origin"], hail.example.host(0).name());
            assert_eq!(told["path"], "/api?a=b");
            assert_eq!(told["has_certificate"], true);
            let headers = &told["headers"];
            let client = hail.example.lab.client().address(family).to_string();
            assert_eq!(headers["host"], "batch.default.svc.cluster.local");
            assert_eq!(headers["x-forwarded-host"], "batch.hail.example");
            assert_eq!(headers["x-forwarded-proto"], "https");
            assert_eq!(headers["x-forwarded-for"], client);
            assert_eq!(headers["x-real-ip"], client);
        }
    }
    let apex = hail.get("https://hail.example/", &[]).json();
    assert_eq!(apex["headers"]["host"], "www.default.svc.cluster.local");
    assert_eq!(hail.get("https://unknown.hail.example/", &[]).status, 404);
    assert!(hail.questions().is_empty(), "nobody is asked about production");
    let fits = |line: &Value| line["user_agent"].is_string() && line["status"] == 404;
    let logged = || hail.example.logged(fits).into_iter().next();
    let line = eventually(LIMIT, "the access log", logged).unwrap();
    assert!(line["client_address"].is_string() && line["duration_ms"].is_number(), "{line}");
    assert_eq!(line["path"], Value::Null, "it is not in the fields of the file: {line}");
}

/// Metrics and other namespaces: the authorisation service is asked first.
fn assert_guarded(hail: &mut Hail) {
    let inside = "https://internal.hail.example/pr-12345/batch/jobs?q=1";
    let options = ["-H", "Cookie: session=1", "-H", "X-Other: 2", "--data", "body"];
    let answer = hail.get_judged(inside, &options);
    assert_eq!(answer.status, 200);
    let told = answer.json();
    assert_eq!(told["origin"], hail.example.host(1).name());
    assert_eq!(
        (&told["path"], &told["method"]),
        (&"/pr-12345/batch/jobs?q=1".into(), &"POST".into())
    );
    assert_eq!(told["body_bytes"], 4);
    assert_eq!(told["has_certificate"], false);
    assert_eq!(told["headers"]["host"], "batch.pr-12345.svc.cluster.local");
    let question = hail.questions().pop().unwrap();
    assert_eq!(question.method, "POST");
    assert_eq!(question.path, format!("{VERIFY}/pr-12345/batch/jobs?q=1"));
    assert_eq!(question.field("cookie"), Some("session=1"));
    assert_eq!(question.field("x-other"), None);
    assert!(question.body.is_empty() && question.has_certificate);

    let driver = hail.get_judged("https://internal.hail.example/pr-12345/batch-driver", &[]).json();
    assert_eq!(driver["headers"]["host"], "batch-driver.pr-12345.svc.cluster.local");
    assert_eq!(hail.get("https://internal.hail.example/pr-12345/batches", &[]).status, 404);

    let before = hail.strangers.requests().len() + hail.services.requests().len();
    hail.say(401);
    for url in [inside, "https://batch.hail.example/metrics"] {
        let answer = hail.get_judged(url, &[]);
        assert_eq!(answer.status, 302, "{url}");
        let login = answer.field("location").unwrap();
        assert!(
            login.starts_with("https://auth.hail.example/login?next=https%3A%2F%2F"),
            "{login}"
        );
    }
    hail.say(403);
    assert_eq!(hail.get_judged(inside, &[]).status, 403);
    for wrong in [500, 0] {
        hail.say(wrong);
        assert_eq!(hail.get(inside, &[]).status, 503, "{wrong}");
    }
    hail.auth = None;
    assert_eq!(hail.get(inside, &[]).status, 503, "nobody can be asked");
    assert_eq!(hail.strangers.requests().len() + hail.services.requests().len(), before);
    assert_eq!(hail.get("https://batch.hail.example/", &[]).status, 200);
}

#[test]
fn the_gateway_from_the_workers_serves_what_its_file_says() {
    let hail = Hail::start("hail-gateways/internal-gateway.yaml", 81, "internal-gateway");
    hail.example.wait_for("http://batch.hail/", 200);
    hail.example.wait_for("http://auth.hail/", 200);
    hail.example.wait_for("http://internal.hail/pr-12345/batch", 200);
    hail.example.wait_for("http://internal.hail/pr-12345/batch-driver", 200);
    hail.example.wait_for("http://batch-driver.hail/", 200);
    let body = "text ".repeat(10_000);
    let options = ["-H", "Content-Type: text/plain", "--data-binary", &body];
    for family in Family::BOTH {
        let answer = hail.example.curl(family).get("http://batch.hail/a", &options).unwrap();
        assert_eq!(answer.status, 200, "{family}");
        let told = answer.json();
        assert_eq!(told["headers"]["content-encoding"], "gzip");
        let received = told["body_bytes"].as_u64().unwrap();
        assert!((1..5_000).contains(&received), "{received} bytes");
        assert_eq!(told["has_certificate"], true);
        let client = hail.example.lab.client().address(family).to_string();
        assert_eq!(told["headers"]["x-real-ip"], client);
    }
    let told = hail.get("http://internal.hail/pr-12345/batch-driver/x", &[]).json();
    assert_eq!(told["headers"]["host"], "batch-driver.pr-12345.svc.cluster.local");
    assert_eq!(hail.get("http://unknown.hail/", &[]).status, 404);
    let is_logged =
        || (!hail.example.logged(|it| it["host"] == "unknown.hail").is_empty()).then_some(());
    let logged = eventually(LIMIT, "the access log", is_logged);
    assert!(logged.is_ok(), "{}", hail.example.daemon.lines().join("\n"));
    assert!(hail.example.logged(|it| it["status"] == 200).is_empty(), "failures only");
    assert_rates(&hail);
}

/// No more pass than the bucket holds and gains, at a limit of 60 a second; and the limit of one
/// service is not that of another.
fn assert_rates(hail: &Hail) {
    const REQUEST_COUNT: usize = 600;
    let file = hail.example.daemon.file().with_file_name("burst");
    let line = "url = \"http://batch-driver.hail/\"\noutput = \"/dev/null\"\n";
    fs::write(&file, line.repeat(REQUEST_COUNT)).unwrap();
    let file = file.to_str().unwrap();
    let started = Instant::now();
    let to = "::192.0.2.81:";
    let words = ["curl", "-sSZ", "--connect-to", to, "-w", "%{http_code}\\n", "-K", file];
    let output = hail.example.lab.client().run(&words).unwrap();
    let gained = started.elapsed().as_secs_f64() * 60.0;
    let text = String::from_utf8(output.stdout).unwrap();
    let count = |status: &str| text.lines().filter(|line| *line == status).count();
    let (passed, refused) = (count("200"), count("429"));
    assert_eq!(passed + refused, REQUEST_COUNT, "{text}");
    assert!(passed >= 60 && (passed as f64) <= 61.0 + gained, "{passed} passed, {gained} gained");
    assert!(refused > 0 || gained > 500.0, "{refused} refused");
    assert_eq!(hail.get("http://batch.hail/", &[]).status, 200);
}
