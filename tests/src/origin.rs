//! An HTTP/1.1 origin on a host of the lab, in the process of the test, which sees its requests.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::json;

use crate::lab::Host;

/// Longest line of a request.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Longest body of a request.
const BODY_BYTES_MAX: u64 = 16 << 20;
/// The key of RFC 6455, section 1.3, which is all that this origin knows the answer to.
pub const WEBSOCKET_KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
/// The answer to [`WEBSOCKET_KEY`].
pub const WEBSOCKET_ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A request as the origin got it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path and query.
    pub path: String,
    /// The header fields, names in lower case.
    pub fields: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// Whether the client of the connection has shown a certificate.
    pub has_certificate: bool,
    /// The server name that the client of the connection has asked for, with TLS.
    pub server_name: Option<String>,
}

/// What the origin answers.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// More header fields.
    pub fields: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// How a request is answered.
pub type Answer = dyn Fn(&Request) -> Response + Send + Sync;

/// A running origin; ends when dropped.
pub struct Origin {
    shared: Arc<Shared>,
    accepting: Vec<(TcpListener, JoinHandle<()>)>,
}

struct Shared {
    answer: Box<Answer>,
    tls: Option<Arc<ServerConfig>>,
    requests: Mutex<Vec<Request>>,
    connections: Mutex<Vec<TcpStream>>,
}

impl Origin {
    /// Listens on a port of the first addresses of the host, one of each family, and tells with each answer what was asked:
    /// see [`echo`].
    pub fn start(host: &Host, port: u16, tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let name = host.name().to_owned();
        Self::answering(host, port, tls, move |request| echo(&name, request))
    }

    /// Like [`Self::start`], with answers of one's own.
    pub fn answering(
        host: &Host,
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        answer: impl Fn(&Request) -> Response + Send + Sync + 'static,
    ) -> Result<Self> {
        let shared = Arc::new(Shared {
            answer: Box::new(answer),
            tls,
            requests: Mutex::default(),
            connections: Mutex::default(),
        });
        let mut accepting = Vec::new();
        for address in [IpAddr::V4(host.address_v4()), IpAddr::V6(host.address_v6())] {
            let listener = host
                .enter(|| TcpListener::bind((address, port)))?
                .with_context(|| format!("listen on {address} port {port}"))?;
            let (taken, shared) = (listener.try_clone()?, Arc::clone(&shared));
            accepting.push((listener, thread::spawn(move || accept(&taken, &shared))));
        }
        Ok(Self { shared, accepting })
    }

    /// The requests until now.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Ends as a crash would: connections break, and new ones are refused when this returns.
    pub fn stop(&mut self) {
        for (listener, thread) in self.accepting.drain(..) {
            // Ends a waiting accept(2); nothing else than a closed socket can fail it.
            rustix::net::shutdown(&listener, rustix::net::Shutdown::Both).ok();
            thread.join().ok();
        }
        for connection in lock(&self.shared.connections).drain(..) {
            // A connection that is closed already is as it should be.
            connection.shutdown(Shutdown::Both).ok();
        }
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Request {
    /// The first field of that name; `name` in lower case.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

/// 200, and as JSON the origin's name and the request: `origin`, `method`, `path`, `headers`,
/// `body_bytes`, `has_certificate`.
pub fn echo(name: &str, request: &Request) -> Response {
    let headers: serde_json::Map<_, _> =
        request.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let body = json!({
        "origin": name,
        "method": request.method,
        "path": request.path,
        "headers": headers,
        "body_bytes": request.body.len(),
        "has_certificate": request.has_certificate,
    });
    let fields = vec![("Server", "origin".to_owned()), ("X-Origin", name.to_owned())];
    Response { status: 200, fields, body: body.to_string() }
}

/// A frame of text as a server sends it, or as a client if it has a mask; up to 125 bytes.
pub fn websocket_frame(text: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let length = text.len().min(125);
    let mut frame = vec![0x81, length as u8 | if mask.is_some() { 0x80 } else { 0 }];
    frame.extend(mask.iter().flatten());
    let key = mask.unwrap_or_default();
    frame.extend(text.bytes().take(length).zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The text of the next frame, which must be short.
pub fn read_websocket_frame(stream: &mut impl Read) -> io::Result<String> {
    let mut head = [0; 2];
    stream.read_exact(&mut head)?;
    let [_, length] = head;
    let mut key = [0; 4];
    if length & 0x80 != 0 {
        stream.read_exact(&mut key)?;
    }
    let mut text = vec![0; usize::from(length & 0x7f)];
    stream.read_exact(&mut text)?;
    text.iter_mut().zip(key.iter().cycle()).for_each(|(byte, key)| *byte ^= key);
    String::from_utf8(text).map_err(io::Error::other)
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept() {
        if let Ok(kept) = stream.try_clone() {
            lock(&shared.connections).push(kept);
        }
        let shared = Arc::clone(shared);
        // A client that breaks its connection is no concern of the origin's.
        thread::spawn(move || drop(serve(stream, &shared)));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> Result<()> {
    stream.set_nodelay(true)?;
    let Some(tls) = &shared.tls else {
        return serve_requests(stream, shared, &Request::default());
    };
    let mut stream = StreamOwned::new(ServerConnection::new(Arc::clone(tls))?, stream);
    stream.conn.complete_io(&mut stream.sock)?;
    let known = Request {
        has_certificate: stream.conn.peer_certificates().is_some(),
        server_name: stream.conn.server_name().map(str::to_owned),
        ..Request::default()
    };
    serve_requests(stream, shared, &known)
}

/// Serves a connection of which this is known.
fn serve_requests(stream: impl Read + Write, shared: &Shared, known: &Request) -> Result<()> {
    let mut stream = BufReader::new(stream);
    while let Some(mut request) = read_request(&mut stream)? {
        request.has_certificate = known.has_certificate;
        request.server_name.clone_from(&known.server_name);
        lock(&shared.requests).push(request.clone());
        if request.field("upgrade").is_some_and(|it| it.eq_ignore_ascii_case("websocket")) {
            return echo_frames(&mut stream, &request);
        }
        let response = (shared.answer)(&request);
        write_response(stream.get_mut(), &request, &response)?;
    }
    Ok(())
}

fn read_request(stream: &mut impl BufRead) -> Result<Option<Request>> {
    let line = read_line(stream)?;
    let mut words = line.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let mut request =
        Request { method: method.to_owned(), path: path.to_owned(), ..Request::default() };
    loop {
        let line = read_line(stream)?;
        let Some((name, value)) = line.split_once(':') else { break };
        request.fields.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    if request.field("transfer-encoding").is_some() {
        loop {
            let length = u64::from_str_radix(&read_line(stream)?, 16)?;
            stream.take(length.min(BODY_BYTES_MAX)).read_to_end(&mut request.body)?;
            read_line(stream)?;
            if length == 0 {
                break;
            }
        }
    } else if let Some(length) = request.field("content-length") {
        let length: u64 = length.parse()?;
        stream.take(length.min(BODY_BYTES_MAX)).read_to_end(&mut request.body)?;
    }
    Ok(Some(request))
}

/// Without its end; empty at the end of the connection.
fn read_line(stream: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    stream.take(LINE_BYTES_MAX).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

fn write_response(stream: &mut impl Write, request: &Request, response: &Response) -> Result<()> {
    let mut text = format!("HTTP/1.1 {} Answer\r\n", response.status);
    for (name, value) in &response.fields {
        text.extend([name, ": ", value.as_str(), "\r\n"]);
    }
    text.extend([format!("Content-Length: {}\r\n\r\n", response.body.len())]);
    if request.method != "HEAD" {
        text += &response.body;
    }
    stream.write_all(text.as_bytes())?;
    Ok(stream.flush()?)
}

fn echo_frames<S: Read + Write>(stream: &mut BufReader<S>, request: &Request) -> Result<()> {
    let is_known = request.field("sec-websocket-key") == Some(WEBSOCKET_KEY);
    let accept = if is_known { WEBSOCKET_ACCEPT } else { "unknown" };
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    stream.get_mut().write_all(head.as_bytes())?;
    stream.get_mut().flush()?;
    loop {
        let text = read_websocket_frame(stream)?;
        stream.get_mut().write_all(&websocket_frame(&text, None))?;
        stream.get_mut().flush()?;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
