//! Who would answer.

use super::{Follow, Refused};
use crate::{
    admin::resource::{WhyBackend, WhyResource, balance_name, endpoint},
    proxy::{http::Reason, send::Upstream},
};
use std::sync::Arc;

impl Follow<'_> {
    /// Tells the endpoints of `backends` (weight, upstream) and which would be chosen.
    pub(super) fn send(
        &self,
        backends: &[(u32, Option<&Arc<Upstream>>)],
        told: &mut WhyResource,
    ) -> Result<String, Refused> {
        let total: u64 = backends.iter().map(|(weight, _)| u64::from(*weight)).sum();
        let told_of = |(weight, upstream): &(u32, Option<&Arc<Upstream>>)| {
            let share = f64::from(*weight) / (total.max(1) as f64);
            self.backend(share, upstream.map(|it| &**it))
        };
        told.backends = backends.iter().map(told_of).collect();
        let takes_part = || told.backends.iter().filter(|it| it.share > 0.0);
        let chosen: Vec<_> = takes_part().filter_map(|it| it.chosen.clone()).collect();
        if !chosen.is_empty() {
            return Ok(format!("sent to {}", chosen.join(" or ")));
        }
        if takes_part().any(|it| it.upstream.is_some()) {
            return Err(Refused::of(Reason::NoEndpoint, "no endpoint takes requests"));
        }
        Err(Refused::of(Reason::BackendMissing, "the rule has no backend that is there"))
    }

    fn backend(&self, share: f64, upstream: Option<&Upstream>) -> WhyBackend {
        let Some(upstream) = upstream else {
            return WhyBackend {
                upstream: None,
                share,
                balance: None,
                chosen: None,
                endpoints: Vec::new(),
            };
        };
        let name = upstream.name();
        let key = upstream.key(Some(self.asked.client), Some(&self.asked.request));
        let chosen = upstream.preview(&key);
        let endpoints = upstream.snapshot().endpoints;
        WhyBackend {
            upstream: Some(name.to_string()),
            share,
            balance: Some(balance_name(upstream.balance())),
            chosen: chosen.map(|(endpoint, address)| format!("{name}/{endpoint} ({address})")),
            endpoints: endpoints.iter().map(|it| endpoint(it, name, self.drained)).collect(),
        }
    }
}
