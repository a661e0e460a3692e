//! What came back.

use std::collections::BTreeMap;

use serde::Deserialize;

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Trailers.
    pub trailers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// What the backend says it was asked; `None` = no echoing backend answered.
    pub echoed: Option<Echoed>,
}

/// What a backend says it was asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Echoed {
    /// Its name: that of its Service, `-` and a number.
    pub backend: String,
    /// Namespace of the test it belongs to.
    pub namespace: String,
    /// Method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Host.
    pub host: String,
    /// `HTTP/1.1` or `HTTP/2`.
    pub protocol: String,
    /// Whether it was asked over TLS.
    pub tls: bool,
    /// Fields, names in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// Bytes of the body.
    pub body_bytes: usize,
}

impl Answer {
    /// Whether a backend of this Service answered well.
    pub fn is_from(&self, service: &str) -> bool {
        let backend = self.echoed.as_ref().map(|it| it.backend.as_str());
        let of_service = backend.and_then(|it| it.rsplit_once('-')).map(|it| it.0);
        self.status == 200 && of_service == Some(service)
    }

    /// A field of the response.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|it| it.0 == name).map(|it| it.1.as_str())
    }

    /// Values of a field of the response.
    pub fn headers(&self, name: &str) -> Vec<&str> {
        self.headers.iter().filter(|it| it.0 == name).map(|it| it.1.as_str()).collect()
    }

    /// Values of a field that the backend got.
    pub fn asked_header(&self, name: &str) -> Vec<&str> {
        let found = self.echoed.as_ref().and_then(|it| it.headers.get(name));
        found.map(|it| it.iter().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Path and query that the backend got.
    pub fn asked_path(&self) -> &str {
        self.echoed.as_ref().map_or("", |it| &it.path)
    }

    /// Host that the backend got.
    pub fn asked_host(&self) -> &str {
        self.echoed.as_ref().map_or("", |it| &it.host)
    }
}
