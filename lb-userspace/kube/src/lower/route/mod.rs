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
mod url;

use super::{draft::Draft, gateway::Gateways};
use attach::{Attachment, Parents};
use source::{Source, Spec};

/// Attaches and lowers the routes of all kinds, the oldest first.
pub(super) fn lower(draft: &mut Draft<'_>, gateways: &mut Gateways) {
    let sources = source::all(draft);
    let parents = Parents::new(gateways);
    let mut attachments: Vec<_> =
        sources.iter().map(|source| parents.attach(&draft.index, source)).collect();
    conflict::settle(&sources, &parents, &mut attachments);
    let mut streams = stream::InForce::default();
    for (source, attachments) in sources.iter().zip(&mut attachments) {
        lower_one(draft, &parents, source, attachments, &mut streams);
    }
    let counted: Vec<_> = attachments
        .iter()
        .map(|all| all.iter().flat_map(Attachment::listeners).copied().collect())
        .collect();
    attach::count(gateways, &sources, &counted);
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
