//! Origins in other languages. Each answers with what [`super::super::echo`] tells.

use std::path::Path;

/// nginx answers before it reads a body, and then throws it away.
pub(super) fn nginx(folder: &Path, port: u16) -> String {
    let path = folder.display();
    format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr crit;
events {{ worker_connections 1024; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {path}/body;
  server {{
    listen 127.0.0.1:{port};
    location / {{ return 200 \"$request_method $request_uri\\n\"; }}
  }}
}}
"
    )
}

pub(super) const NODE: &str = r#"
const http = require("node:http");
const server = http.createServer((request, response) => {
  let [hash, length] = [0x811c9dc5, 0];
  request.on("data", (data) => {
    length += data.length;
    for (const byte of data) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  });
  request.on("end", () => {
    const hex = hash.toString(16).padStart(8, "0");
    response.end(`${request.method} ${request.url} ${length} ${hex}\n`);
  });
});
server.keepAliveTimeout = 3600000;
server.listen(Number(process.argv[2]), "127.0.0.1");
"#;

pub(super) const PYTHON: &str = r#"
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def body(self):
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            pieces = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline() not in (b"\r\n", b"\n", b""):
                pass
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def answer(self):
        body = self.body()
        hash = 0x811C9DC5
        for byte in body:
            hash = (hash ^ byte) * 0x01000193 & 0xFFFFFFFF
        target = self.requestline.split(" ")[1]
        text = f"{self.command} {target} {len(body)} {hash:08x}\n".encode("latin-1")
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_OPTIONS = do_BREW = answer

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

Server(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"#;
