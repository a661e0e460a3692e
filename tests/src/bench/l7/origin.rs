//! The backend of all proxies: nginx, which costs the generator's core the least.

use std::{fs, path::Path, process::Command};

use anyhow::Result;

use super::scenario::{message, text};
use crate::rivals::{
    free_port,
    process::{Cores, Process},
};

/// A backend that answers `/small`, `/large`, `/text`, and `/routeN/small`, and gRPC calls.
#[derive(Debug)]
pub(super) struct Origin {
    /// Its port on 127.0.0.1.
    pub port: u16,
    /// Its port for gRPC.
    pub grpc_port: u16,
    _process: Process,
}

impl Origin {
    /// Starts it in `folder`. To have a gRPC call's message read before it is answered, as servers do
    /// (nginx as a proxy takes an answer before that for a failure), it is "mirrored" to nowhere.
    pub(super) fn start(folder: &Path, cores: Cores) -> Result<Self> {
        fs::create_dir_all(folder)?;
        let (port, grpc_port) = (free_port()?, free_port()?);
        let large = folder.join("large");
        fs::write(&large, vec![b'x'; 64 * 1_024])?;
        fs::write(folder.join("message"), message())?;
        fs::write(folder.join("text"), text())?;
        let small = "x".repeat(64);
        let path = folder.display();
        let text = format!(
            "daemon off; master_process off; pid {path}/pid; error_log stderr;
events {{ worker_connections 32768; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h;
  client_body_temp_path {path}/body; proxy_temp_path {path}/proxy;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location /large {{ alias {path}/large; }}
    location /text {{ alias {path}/text; }}
    location / {{ return 200 {small}; }}
  }}
  server {{
    listen 127.0.0.1:{grpc_port} http2 backlog=4096;
    http2_max_concurrent_streams 1000000;
    location / {{
      root {path}; rewrite ^ /message break; mirror /read; error_page 405 =200 /answer;
    }}
    location = /read {{ internal; return 204; }}
    location = /answer {{
      internal; alias {path}/message; default_type application/grpc; add_trailer grpc-status 0;
    }}
  }}
}}
"
        );
        let file = folder.join("nginx.conf");
        fs::write(&file, text)?;
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&file).arg("-p").arg(folder);
        Ok(Self { port, grpc_port, _process: Process::on_core(&command, folder, cores.others)? })
    }
}
