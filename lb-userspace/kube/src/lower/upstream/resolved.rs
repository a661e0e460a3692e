//! Backends that were looked up: thousands of routes may refer to one.

use super::{BackendProblem, port::PortKey, xbackend};
use crate::{Notice, ObjectKey};
use lb_model::{Shared, Upstream, UpstreamProtocol};
use std::{collections::BTreeMap, sync::Arc};

/// Backends that were looked up.
#[derive(Debug, Default)]
pub(in crate::lower) struct Resolved {
    of: BTreeMap<Arc<ResolvedKey>, Arc<Resolution>>,
    pub(super) backends: xbackend::Used,
}

/// What makes a look-up another one. Those of one object are beside each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::lower) struct ResolvedKey {
    /// The port; of an XBackend, the object.
    pub(in crate::lower) port: PortKey,
    pub(in crate::lower) is_service: bool,
    pub(super) protocol: Protocol,
    pub(super) is_stream: bool,
    pub(super) client_certificate: Option<String>,
}

/// An [`UpstreamProtocol`] that can be sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Protocol {
    #[default]
    Auto,
    Http1,
    Http2,
}

/// What came of a look-up.
#[derive(Debug, PartialEq)]
pub(in crate::lower) struct Resolution {
    /// Name of the upstream.
    pub(in crate::lower) result: Result<String, BackendProblem>,
    /// The upstream, if there is one: what it is depends on its name only.
    pub(in crate::lower) upstream: Option<Shared<Upstream>>,
    /// What the users of the backend are told.
    pub(in crate::lower) notices: Vec<Notice>,
}

impl Resolved {
    /// How many look-ups there were.
    pub(in crate::lower) fn len(&self) -> usize {
        self.of.len()
    }

    /// What is known of a look-up.
    pub(in crate::lower) fn entry(
        &self,
        key: &ResolvedKey,
    ) -> Option<(Arc<ResolvedKey>, Arc<Resolution>)> {
        let (key, resolution) = self.of.get_key_value(key)?;
        Some((Arc::clone(key), Arc::clone(resolution)))
    }

    /// Notes what came of a look-up.
    pub(in crate::lower) fn put(
        &mut self,
        key: Arc<ResolvedKey>,
        resolution: Resolution,
    ) -> (Arc<ResolvedKey>, Arc<Resolution>) {
        let resolution = Arc::new(resolution);
        self.of.insert(Arc::clone(&key), Arc::clone(&resolution));
        (key, resolution)
    }

    /// Forgets a look-up.
    pub(in crate::lower) fn forget(&mut self, key: &ResolvedKey) {
        self.of.remove(key);
    }

    /// Look-ups of one object.
    pub(in crate::lower) fn of_object(
        &self,
        object: &ObjectKey,
    ) -> impl Iterator<Item = (&Arc<ResolvedKey>, &Arc<Resolution>)> {
        let port = PortKey {
            object: object.clone(),
            clusters: Vec::new(),
            port: 0,
            protocol: lb_model::Protocol::Tcp,
        };
        let first = ResolvedKey {
            port,
            is_service: false,
            protocol: Protocol::default(),
            is_stream: false,
            client_certificate: None,
        };
        let from_there = self.of.range::<ResolvedKey, _>(&first..);
        from_there.take_while(move |(key, _)| key.port.object == first.port.object)
    }

    /// What users are told of all that was looked up.
    pub(in crate::lower) fn notices(&self) -> impl Iterator<Item = &Notice> {
        self.of.values().flat_map(|it| &it.notices)
    }
}

impl From<UpstreamProtocol> for Protocol {
    fn from(protocol: UpstreamProtocol) -> Self {
        match protocol {
            UpstreamProtocol::Auto => Self::Auto,
            UpstreamProtocol::Http1 => Self::Http1,
            UpstreamProtocol::Http2 => Self::Http2,
        }
    }
}

impl From<Protocol> for UpstreamProtocol {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Auto => Self::Auto,
            Protocol::Http1 => Self::Http1,
            Protocol::Http2 => Self::Http2,
        }
    }
}
