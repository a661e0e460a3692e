//! HTTPRoutes and GRPCRoutes for the same hosts on the same listener: the older has it (Gateway
//! API, `GRPCRoute.hostnames`).

use super::{
    attach::{Attachment, Parents, Refusal},
    source::{Source, Spec},
};
use lb_model::HostPattern;
use std::collections::{HashMap, HashSet};

/// Takes routes from the listeners where an older one of the other kind has one of their hosts.
pub(super) fn settle(
    sources: &[Source<'_>],
    parents: &Parents<'_>,
    attachments: &mut [Vec<Attachment<'_>>],
) {
    let places_of = |is_wanted: fn(&Spec<'_>) -> bool| -> HashSet<usize> {
        let wanted = sources.iter().zip(&*attachments).filter(|(it, _)| is_wanted(&it.spec));
        wanted.flat_map(|(_, all)| all.iter().flat_map(Attachment::listeners)).copied().collect()
    };
    let mut shared = places_of(|it| matches!(it, Spec::Grpc(_)));
    if shared.is_empty() {
        return;
    }
    let http = places_of(|it| matches!(it, Spec::Http(_)));
    shared.retain(|it| http.contains(it));
    let mut taken: HashMap<(usize, bool), Hosts> = HashMap::new();
    for (source, attachments) in sources.iter().zip(attachments) {
        let is_grpc = match source.spec {
            Spec::Http(_) => false,
            Spec::Grpc(_) => true,
            Spec::Stream(_) => continue,
        };
        let hosts = |place| hosts_on(source, parents, place);
        for attachment in attachments {
            let is_free = |place: &usize| {
                !shared.contains(place)
                    || taken.get(&(*place, !is_grpc)).is_none_or(|taken| {
                        !hosts(*place).iter().any(|host| taken.intersects(host))
                    })
            };
            let message = "an older route of another kind has one of its hosts".to_owned();
            attachment.retain(is_free, Refusal { reason: "NotAllowedByListeners", message });
            for place in attachment.listeners().iter().filter(|it| shared.contains(it)) {
                let taken = taken.entry((*place, is_grpc)).or_default();
                for host in &hosts(*place) {
                    taken.insert(host);
                }
            }
        }
    }
}

/// The hosts that a route means on a listener.
fn hosts_on(source: &Source<'_>, parents: &Parents<'_>, place: usize) -> Vec<HostPattern> {
    let Some(listener) = parents.listener(place) else { return Vec::new() };
    if source.hosts.is_empty() {
        return vec![listener.host.clone()];
    }
    source.hosts.iter().filter_map(|it| it.narrower(&listener.host)).cloned().collect()
}

/// Hosts that are taken. Whether one of them is meant costs as much as it has labels.
#[derive(Debug, Default)]
struct Hosts {
    exact: HashSet<String>,
    suffixes: HashSet<String>,
    /// What names and suffixes end in: `.shop.example` and `.example` of `a.shop.example`.
    above: HashSet<String>,
    any: bool,
}

impl Hosts {
    fn insert(&mut self, host: &HostPattern) {
        match host {
            HostPattern::Exact(name) => {
                self.above.extend(suffixes(name).map(str::to_owned));
                self.exact.insert(name.clone());
            }
            HostPattern::Suffix(suffix) => {
                self.above.extend(suffixes(suffix).map(str::to_owned));
                self.suffixes.insert(suffix.clone());
            }
            HostPattern::Any => self.any = true,
        }
    }

    fn intersects(&self, host: &HostPattern) -> bool {
        let is_below = |name| suffixes(name).any(|it| self.suffixes.contains(it));
        self.any
            || match host {
                HostPattern::Exact(name) => self.exact.contains(name) || is_below(name),
                HostPattern::Suffix(suffix) => self.above.contains(suffix) || is_below(suffix),
                HostPattern::Any => !self.exact.is_empty() || !self.suffixes.is_empty(),
            }
    }
}

/// What a name ends in, from each of its dots on; of a suffix that begins with one, it itself too.
fn suffixes(name: &str) -> impl Iterator<Item = &str> {
    name.match_indices('.').filter_map(|(dot, _)| name.get(dot..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn taken_hosts_are_those_that_intersect() {
        let patterns = ["a.shop.example", "shop.example", "*.shop.example", "*.example", "*", "x"];
        for one in patterns {
            let one: HostPattern = one.parse().unwrap();
            let mut taken = Hosts::default();
            taken.insert(&one);
            for other in patterns {
                let other: HostPattern = other.parse().unwrap();
                assert_eq!(taken.intersects(&other), one.intersects(&other), "{one} and {other}");
            }
            assert!(!Hosts::default().intersects(&one));
        }
    }
}
