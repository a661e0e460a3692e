//! lbd with listeners on ports of its own.

use std::{
    fs,
    net::{SocketAddr, UdpSocket},
    os::fd::OwnedFd,
    path::PathBuf,
    process::{Command, Output},
    time::Duration,
};

use lb_tests::{lab::Process, wait::binary};
use rustix::{
    net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt},
    process::Signal,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Starting, stopping and anything else that should be done long before.
pub(super) const LIMIT: Duration = Duration::from_secs(30);

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

/// An address that nobody else is given: a socket is bound to it, which does not listen.
pub(super) struct Port {
    pub(super) address: SocketAddr,
    _socket: OwnedFd,
}

impl Port {
    fn reserve() -> Self {
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_reuseport(&socket, true).unwrap();
        sockopt::set_socket_reuseaddr(&socket, true).unwrap();
        bind(&socket, &SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let address = SocketAddr::try_from(getsockname(&socket).unwrap()).unwrap();
        Self { address, _socket: socket }
    }
}

/// A free port of an address that belongs to this process: a socket that keeps it would get some of
/// the datagrams.
fn datagrams() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    UdpSocket::bind(SocketAddr::from(([127, 100 + a, b, c], 0))).unwrap().local_addr().unwrap()
}

impl Site {
    pub(super) fn new() -> Self {
        let (web, secure) = (Port::reserve(), Port::reserve());
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
        let (web, workers, drain_timeout) = (self.web.address, self.workers, self.drain_timeout);
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
            let mut stream = TcpStream::connect(self.web.address).await.ok()?;
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
