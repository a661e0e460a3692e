//! Canaries: other Ingresses that take a share of a path's requests.

use super::{
    offer::{Offer, Source},
    upstream,
};
use crate::lower::draft::Draft;
use lb_model::{FieldMatch, Filters, RouteBackend, Rule, ValueMatch};

/// What `canary-weight` is relative to, unless `canary-weight-total` says otherwise.
const TOTAL: u32 = 100;

/// The rules of a path: those that a header or a cookie decides, then the one that weights do.
pub(super) fn split(
    draft: &mut Draft<'_>,
    sources: &mut [Source<'_>],
    canaries: &[Offer],
    main: &Rule,
) -> Vec<Rule> {
    let mut rules = Vec::new();
    let mut shared = main.clone();
    for canary in canaries {
        let name = upstream::of(draft, sources, std::slice::from_ref(canary));
        let Some(source) = sources.get_mut(canary.source) else { continue };
        let backend =
            |weight| RouteBackend { upstream: name.clone(), weight, filters: Filters::default() };
        for (field, to_canary) in decided(source) {
            let mut rule = main.clone();
            if to_canary {
                rule.backends = vec![backend(1)];
            }
            for one in &mut rule.matches {
                one.headers.push(field.clone());
            }
            // Names are unique in a route.
            rule.name = None;
            rules.push(rule);
        }
        let total = source.wishes.number("canary-weight-total").unwrap_or(TOTAL).max(1);
        let weight = source.wishes.number("canary-weight").unwrap_or(0).min(total);
        if let Some(first) = shared.backends.first_mut() {
            // All shares are of the same total: more than one canary with another is not known.
            first.weight = if rules.is_empty() || weight > 0 { total - weight } else { total };
        }
        if weight > 0 {
            shared.backends.push(backend(weight));
        }
    }
    rules.push(shared);
    rules
}

/// What decides by header, then by cookie, and whether for the canary.
fn decided(source: &Source<'_>) -> Vec<(FieldMatch, bool)> {
    let wishes = &source.wishes;
    let mut decided = Vec::new();
    if let Some(name) = wishes.text("canary-by-header") {
        let field = |value| FieldMatch { name: name.to_ascii_lowercase(), value };
        if let Some(value) = wishes.text("canary-by-header-value") {
            decided.push((field(ValueMatch::Exact(value.to_owned())), true));
        } else if let Some(pattern) = wishes.text("canary-by-header-pattern") {
            decided.push((field(ValueMatch::Regex(pattern.to_owned())), true));
        } else {
            decided.push((field(ValueMatch::Exact("always".to_owned())), true));
            decided.push((field(ValueMatch::Exact("never".to_owned())), false));
        }
    }
    if let Some(name) = wishes.text("canary-by-cookie") {
        let cookie = |value: &str| {
            let name = literal(name);
            let pattern = format!("(.*; ?)?{name}={value}(;.*)?");
            FieldMatch { name: "cookie".to_owned(), value: ValueMatch::Regex(pattern) }
        };
        decided.push((cookie("always"), true));
        decided.push((cookie("never"), false));
    }
    decided
}

/// An expression that matches `text` and nothing else. Names of cookies are tokens (RFC 6265,
/// section 4.1.1): of their characters only these mean something in an expression.
fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len());
    for letter in text.chars() {
        if ".*+^$|?()[]{}\\".contains(letter) {
            literal.push('\\');
        }
        literal.push(letter);
    }
    literal
}
