//! lbd with listeners on ports of its own.

use std::{
    collections::BTreeSet,
    fs,
    net::{SocketAddr, UdpSocket},
    path::PathBuf,
    process::{Command, Output},
    sync::Mutex,
    time::Duration,
};

use lb_tests::{lab::Process, port::Port, wait::binary};
use rustix::process::Signal;
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Starting, stopping and anything else that should be done long before.
pub(super) const LIMIT: Duration = Duration::from_mins(1);

/// The instance's name.
const INSTANCE: &str = "noloss";

/// The configuration file.
pub(super) const FILE: &str = "lb.yaml";

/// The folder of a test, and the addresses that its lbd listens on.
pub(super) struct Site {
    folder: TempDir,
    /// HTTP.
    pub(super) web: Port,
    /// HTTPS.
    pub(super) secure: Port,
    /// UDP.
    pub(super) datagrams: SocketAddr,
    /// How many workers the next lbd has, and how long it waits for what is open.
    pub(super) workers: usize,
    pub(super) drain_timeout: &'static str,
}

/// A free port of an address that belongs to this process, another one each time: a socket that
/// keeps it would get some of the datagrams.
fn datagrams() -> SocketAddr {
    static GIVEN: Mutex<BTreeSet<SocketAddr>> = Mutex::new(BTreeSet::new());
    // Ids of processes have 22 bits at most.
    let [_, a, b, c] = std::process::id().to_be_bytes();
    loop {
        let socket = UdpSocket::bind(SocketAddr::from(([127, 100 + a, b, c], 0))).unwrap();
        let address = socket.local_addr().unwrap();
        if GIVEN.lock().unwrap().insert(address) {
            return address;
        }
    }
}

impl Site {
    pub(super) fn new() -> Self {
        let (web, secure) = (Port::reserve().unwrap(), Port::reserve().unwrap());
        Self {
            folder: TempDir::new().unwrap(),
            web,
            secure,
            datagrams: datagrams(),
            workers: 2,
            drain_timeout: "10s",
        }
    }

    /// A path in the test's folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Replaces a file in one step.
    pub(super) fn write(&self, name: &str, text: &str) {
        let draft = self.path("draft");
        fs::write(&draft, text).unwrap();
        fs::rename(&draft, self.path(name)).unwrap();
    }

    /// Replaces the configuration. `mark` can be asked for once it is in force.
    pub(super) fn configure(&self, mark: &str, rest: &str) {
        self.configure_in(FILE, mark, rest);
    }

    /// Writes a configuration to a file that another lbd does not watch.
    pub(super) fn configure_in(&self, file: &str, mark: &str, rest: &str) {
        let (web, workers, drain_timeout) = (self.web.address(), self.workers, self.drain_timeout);
        self.write(
            file,
            &format!(
                "proxy: {{ workers: {workers}, drain_timeout: {drain_timeout} }}
listeners:
  - {{ name: web, binds: [\"{web}\"], protocol: http }}
{rest}
  - name: mark
    listeners: [web]
    hosts: [mark.example]
    rules: [{{ answer: {{ status: 200, text: \"{mark}\" }} }}]
"
            ),
        );
    }

    /// Starts lbd, in the place of one that runs; returns when `mark` is answered.
    pub(super) async fn start(&self, file: &str, mark: &str) -> Process {
        let mut lbd = self.run(file, &["--take-over"]);
        let answers = async {
            while !self.has(mark).await {
                assert!(lbd.is_running(), "{}", lbd.lines().join("\n"));
            }
        };
        let up = tokio::time::timeout(LIMIT, answers).await;
        assert!(up.is_ok(), "lbd is not up: {}", lbd.lines().join("\n"));
        lbd
    }

    /// Starts lbd.
    pub(super) fn run(&self, file: &str, arguments: &[&str]) -> Process {
        let mut command = Command::new(binary("lbd").unwrap());
        command.args(["run", "--instance", INSTANCE, "--run-directory"]).arg(self.folder.path());
        command.arg("--config").arg(self.path(file)).args(arguments);
        Process::spawn(&mut command).unwrap()
    }

    /// Runs lbctl, which must succeed.
    pub(super) fn lbctl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(binary("lbctl").unwrap());
        command.args(["--instance", INSTANCE, "--run-directory"]).arg(self.folder.path());
        let output = command.args(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    /// A file of the instance's run directory.
    pub(super) fn run_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(INSTANCE).join(name)
    }

    /// Waits until the configuration with `mark` is in force.
    pub(super) async fn in_force(&self, mark: &str) {
        let answers = async { while !self.has(mark).await {} };
        tokio::time::timeout(LIMIT, answers).await.expect("the configuration in force");
    }

    async fn has(&self, mark: &str) -> bool {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let ask = async {
            let mut stream = TcpStream::connect(self.web.address()).await.ok()?;
            let request = "GET / HTTP/1.1\r\nHost: mark.example\r\nConnection: close\r\n\r\n";
            stream.write_all(request.as_bytes()).await.ok()?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.ok()?;
            Some(answer)
        };
        ask.await.is_some_and(|answer| answer.ends_with(&format!("\r\n\r\n{mark}")))
    }
}

/// Tells lbd to read its configuration again.
pub(super) fn hang_up(lbd: &Process) {
    lbd.signal(Signal::HUP).unwrap();
}

/// Tells lbd to end.
pub(super) fn terminate(lbd: &Process) {
    lbd.signal(Signal::TERM).unwrap();
}

/// It exits by itself as it should.
pub(super) fn assert_ended(mut lbd: Process) {
    let status = lbd.wait(LIMIT).unwrap();
    assert!(status.success(), "{status}: {}", lbd.lines().join("\n"));
}
