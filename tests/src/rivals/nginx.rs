//! nginx: one process, connections to the backend kept.

use std::{fmt::Write as _, process::Command};

use anyhow::Result;

use super::{ROUTES, Site, Speaks, certificate};

pub(super) fn configure(site: &Site<'_>) -> Result<Command> {
    let (cert, key) = certificate::write(site)?;
    let (path, ports) = (site.folder.display(), site.ports);
    let pass = match site.speaks {
        Speaks::Http1 => {
            "{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \
             \"\"; proxy_set_header Host $host; }"
        }
        Speaks::WebSocket => {
            "{ proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection \
             upgrade; proxy_set_header Upgrade $http_upgrade; proxy_read_timeout 1h; }"
        }
        Speaks::Grpc => "{ grpc_pass grpc://origin; }",
    };
    let mut servers = String::new();
    for host in site.hosts() {
        write!(servers, "  server {{ listen 127.0.0.1:{}; server_name {host};", ports.http)?;
        for route in 0..ROUTES {
            write!(servers, " location /route{route}/ {pass}")?;
        }
        servers += " }\n";
    }
    let text = format!(
        "daemon off; master_process off; pid {path}/pid; error_log stderr;
events {{ worker_connections 32768; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  server_names_hash_max_size 65536; server_names_hash_bucket_size 128;
  client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
  upstream origin {{
    server 127.0.0.1:{}; keepalive 256; keepalive_requests 1000000000;
  }}
  server {{
    listen 127.0.0.1:{} backlog=4096 default_server;
    listen 127.0.0.1:{} ssl http2 backlog=4096;
    ssl_certificate {}; ssl_certificate_key {};
    location / {pass}
  }}
{servers}}}
",
        site.origin,
        ports.http,
        ports.https,
        cert.display(),
        key.display()
    );
    let file = site.write("nginx.conf", &text)?;
    let mut command = Command::new("nginx");
    command.arg("-c").arg(file).arg("-p").arg(site.folder);
    Ok(command)
}
