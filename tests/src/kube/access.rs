//! How a client gets at a server: what a kubeconfig says.

use std::net::SocketAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The way to a server, and who one is there.
#[derive(Clone, Debug)]
pub(super) struct Access {
    pub(super) address: SocketAddr,
    /// The authority of the server's certificate, PEM, and the token of a user; without them it
    /// is a server without TLS, to which everybody is an administrator.
    pub(super) trust: Option<(String, String)>,
    /// Whom an administrator acts as.
    pub(super) user: Option<String>,
}

impl Access {
    /// The way to a server without TLS.
    pub(super) fn plain(address: SocketAddr) -> Self {
        Self { address, trust: None, user: None }
    }

    /// A kubeconfig, as text.
    pub(super) fn kubeconfig(&self) -> String {
        let mut cluster = json!({ "server": format!("http://{}", self.address) });
        let mut user = json!({});
        if let Some((authority, token)) = &self.trust {
            cluster = json!({
                "server": format!("https://{}", self.address),
                "certificate-authority-data": STANDARD.encode(authority),
            });
            user["token"] = Value::String(token.clone());
        }
        if let Some(name) = &self.user {
            user["as"] = Value::String(name.clone());
        }
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{ "name": "test", "cluster": cluster }],
            "contexts": [{ "name": "test", "context": { "cluster": "test", "user": "test" } }],
            "users": [{ "name": "test", "user": user }],
        });
        // JSON is YAML.
        format!("{kubeconfig:#}\n")
    }
}
