//! Who may connect: `loadBalancerSourceRanges`, or the annotation that it came from.

use super::Ours;
use crate::lower::condition::Problem;
use ipnet::IpNet;

/// The annotation before there was the field (Kubernetes, well-known annotations).
const ANNOTATION: &str = "service.beta.kubernetes.io/load-balancer-source-ranges";

/// The ranges; empty = all.
///
/// # Errors
/// One cannot be read: nobody would be let in or everybody, and neither was meant.
pub(super) fn of(ours: &Ours<'_>) -> Result<Vec<IpNet>, Problem> {
    let listed: Vec<&str> = match &ours.spec.load_balancer_source_ranges {
        Some(ranges) if !ranges.is_empty() => ranges.iter().map(|it| it.trim()).collect(),
        _ => {
            let annotations = ours.service.metadata.annotations.as_ref();
            let text = annotations.and_then(|it| it.get(ANNOTATION));
            text.into_iter().flat_map(|it| it.split(',')).map(str::trim).collect()
        }
    };
    let mut ranges: Vec<IpNet> = Vec::new();
    for text in listed.into_iter().filter(|it| !it.is_empty()) {
        let range = text.parse::<IpNet>().map_err(|_| {
            let message = format!("the source range {text:?} is not a prefix; nothing is served");
            Problem::new("InvalidSourceRange", message)
        })?;
        ranges.push(range.trunc());
    }
    ranges.sort();
    ranges.dedup();
    // Ranges of all addresses of both families are as good as none.
    let covers =
        |is_ipv4| ranges.iter().any(|it| it.prefix_len() == 0 && it.addr().is_ipv4() == is_ipv4);
    let is_open = covers(true) && covers(false);
    Ok(if is_open { Vec::new() } else { ranges })
}
