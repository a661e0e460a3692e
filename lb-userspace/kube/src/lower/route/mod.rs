//! Routes of all kinds: attached to listeners, and lowered.

mod attach;
mod backend;
mod conflict;
mod duration;
mod fault;
mod filter;
mod forward;
mod grpc;
mod header;
mod http;
mod matching;
mod pattern;
mod report;
mod request;
mod source;
mod stream;
mod unit;
mod url;

pub(super) use source::was_reported;
pub(super) use unit::{Left, Unit, UnitKey, Units, lower_again};

use super::{draft::Draft, gateway::Gateways};
use attach::{Attachment, Parents};
use source::{Source, Spec};

/// Attaches and lowers the routes of all kinds, the oldest first. Tells what became of those of
/// requests, which can be lowered again one by one.
pub(super) fn lower(draft: &mut Draft<'_>, gateways: &mut Gateways) -> Units {
    let sources = source::all(draft);
    let parents = Parents::new(gateways);
    let mut attachments: Vec<_> =
        sources.iter().map(|source| parents.attach(&draft.index, source)).collect();
    let asked: Vec<_> = attachments.iter().map(|it| attach::places(it)).collect();
    conflict::settle(&sources, &parents, &mut attachments);
    let mut streams = stream::InForce::default();
    let mut units = Units::default();
    for ((source, attachments), asked) in sources.iter().zip(&mut attachments).zip(asked) {
        if source.is_of_requests() {
            let unit = Unit::lower(draft, &parents, source, attachments, asked);
            units.insert(source, unit, &draft.resolved);
        } else {
            lower_one(draft, &parents, source, attachments, &mut streams);
        }
    }
    let counted: Vec<_> = attachments.iter().map(|it| attach::places(it)).collect();
    for (source, places) in sources.iter().zip(&counted) {
        attach::count(gateways, source.kind, source.key, places, true);
    }
    units
}

fn lower_one<'a>(
    draft: &mut Draft<'a>,
    parents: &Parents<'_>,
    source: &Source<'a>,
    attachments: &mut [Attachment<'a>],
    streams: &mut stream::InForce,
) {
    if attachments.is_empty() {
        return report::none(draft, source);
    }
    let findings = match source.spec {
        Spec::Stream(rules) => stream::lower(draft, parents, source, rules, attachments, streams),
        Spec::Http(_) | Spec::Grpc(_) => request::lower(draft, parents, source, attachments),
    };
    if let Some(fault) = findings.refusal() {
        for attachment in attachments.iter_mut() {
            attachment.refuse(fault.reason, &fault.message);
        }
    }
    report::report(draft, source, attachments, &findings);
}

#[cfg(test)]
mod tests;
