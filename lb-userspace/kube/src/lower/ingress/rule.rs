//! Claims become rules.

use super::{
    canary, filters,
    listener::Listeners,
    offer::{Claim, Offer, Source},
    upstream,
};
use crate::lower::{age::created, draft::Draft};
use lb_model::{Answer, Filters, HostPattern, RequestMatch, Route, RouteBackend, Rule};
use std::collections::{BTreeMap, BTreeSet};

/// Lowers all claims of a class.
pub(super) fn lower(
    draft: &mut Draft<'_>,
    listeners: &Listeners,
    sources: &mut [Source<'_>],
    claims: BTreeMap<Claim, Vec<Offer>>,
) {
    for (claim, offers) in claims {
        let (canaries, mains): (Vec<_>, Vec<_>) = offers
            .into_iter()
            .partition(|it| sources.get(it.source).is_some_and(|it| it.wishes.is_on("canary")));
        let mains = one_a_cluster(sources, mains, &claim);
        let Some(first) = mains.first().map(|it| it.source) else {
            for canary in canaries {
                note(sources, canary.source, "canary: there is no main Ingress for its path");
            }
            continue;
        };
        lower_claim(draft, listeners, sources, &claim, &Answering { first, mains, canaries });
    }
}

/// Who answers a claim.
struct Answering {
    /// The source that rules.
    first: usize,
    mains: Vec<Offer>,
    canaries: Vec<Offer>,
}

fn lower_claim(
    draft: &mut Draft<'_>,
    listeners: &Listeners,
    sources: &mut [Source<'_>],
    claim: &Claim,
    answering: &Answering,
) {
    let main = upstream::of(draft, sources, &answering.mains);
    let Some(source) = sources.get_mut(answering.first) else { return };
    let mut rule = Rule {
        name: Some(claim.path.clone()),
        matches: vec![RequestMatch { path: claim.path_match(), ..RequestMatch::default() }],
        ..Rule::default()
    };
    filters::apply(draft, source, claim, &mut rule);
    let is_secure = listeners.https.is_some() && source.is_secure(&claim.host);
    let redirects = source.wishes.is_on("force-ssl-redirect")
        || (is_secure && source.wishes.is_not_off("ssl-redirect"));
    let hosts = hosts(source, &claim.host);
    let age = created(source.ingress);
    let name = format!("Ingress/{}:{}", source.key, claim.host);
    rule.backends = vec![RouteBackend { upstream: main, weight: 100, filters: Filters::default() }];
    let root = filters::root_redirect(&source.wishes, claim);
    let mut rules = canary::split(draft, sources, &answering.canaries, &rule);
    rules.extend(root);
    let mut attached: BTreeSet<String> = listeners.https.iter().cloned().collect();
    if redirects {
        let answer = Some(Answer::Redirect(filters::to_https()));
        let redirect = Rule {
            name: Some(claim.path.clone()),
            matches: vec![RequestMatch { path: claim.path_match(), ..RequestMatch::default() }],
            filters: Filters { answer, ..Filters::default() },
            ..Rule::default()
        };
        let only_http = BTreeSet::from([listeners.http.clone()]);
        add(draft, format!("{name}+redirect"), only_http, hosts.clone(), age, vec![redirect]);
    } else {
        attached.insert(listeners.http.clone());
    }
    add(draft, name, attached, hosts, age, rules);
}

fn add(
    draft: &mut Draft<'_>,
    name: String,
    listeners: BTreeSet<String>,
    hosts: BTreeSet<HostPattern>,
    age: u64,
    rules: Vec<Rule>,
) {
    let fresh = || Route { listeners, hosts, age, rules: Vec::new() }.into();
    if let Some(route) = draft.desired.proxy.routes.get_or_insert_with(name, fresh) {
        route.make_mut().rules.extend(rules);
    }
}

/// The hosts of a claim: its own and those of `server-alias`.
fn hosts(source: &mut Source<'_>, host: &HostPattern) -> BTreeSet<HostPattern> {
    if *host == HostPattern::Any {
        return BTreeSet::new();
    }
    let aliases = source.wishes.list("server-alias").unwrap_or_default();
    let mut hosts = BTreeSet::from([host.clone()]);
    for alias in aliases {
        match alias.parse() {
            Ok(alias) => {
                hosts.insert(alias);
            }
            Err(_) => source.wishes.refuse("server-alias", format!("{alias:?} is no host")),
        }
    }
    hosts
}

/// Of several offers in one cluster the oldest counts.
fn one_a_cluster(sources: &mut [Source<'_>], offers: Vec<Offer>, claim: &Claim) -> Vec<Offer> {
    let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
    let mut kept = Vec::new();
    for offer in offers {
        let clusters = sources.get(offer.source).map(|it| it.clusters.clone()).unwrap_or_default();
        let by = clusters.iter().find_map(|it| taken.get(it)).copied();
        if let Some(by) = by {
            let other = sources.get(by).map(|it| it.key.to_string()).unwrap_or_default();
            let text =
                format!("{} of {} is served by the older Ingress {other}", claim.path, claim.host);
            note(sources, offer.source, &text);
            continue;
        }
        taken.extend(clusters.into_iter().map(|it| (it, offer.source)));
        kept.push(offer);
    }
    kept
}

fn note(sources: &mut [Source<'_>], source: usize, text: &str) {
    if let Some(source) = sources.get_mut(source) {
        source.problems.push(text.to_owned());
    }
}
