//! Pools of addresses.

use super::{labels, object_name};
use crate::{
    config::{
        diagnostic::{Position, Report},
        lower::scalar,
        schema,
    },
    kube::{AddressRange, Pool},
};
use std::collections::HashMap;

/// Pools, at most.
const POOLS_MAX: usize = 256;

/// Ranges of a pool, at most.
const RANGES_MAX: usize = 256;

pub(super) fn all(list: &[schema::Pool], report: &mut Report) -> Vec<Pool> {
    if let Some(first) = list.get(POOLS_MAX) {
        let message = format!("{} pools are too many", list.len());
        report.error(first.name.at, message, format!("at most {POOLS_MAX}"));
    }
    let mut names = HashMap::new();
    let mut taken = Vec::new();
    let mut pools = Vec::new();
    for said in list {
        let ranges = ranges(said, &mut taken, report);
        let Some(name) = object_name(&said.name, report) else { continue };
        if let Some(other) = names.insert(name.clone(), said.name.at) {
            let message = format!("a second pool with the name `{name}`");
            report.error(said.name.at, message, scalar::other_at(other));
            continue;
        }
        pools.push(Pool {
            name,
            ranges,
            auto_assign: said.auto_assign.unwrap_or(true),
            bind: said.bind.unwrap_or(false),
            namespace_labels: labels(said.namespace_labels.as_ref()),
            object_labels: labels(said.object_labels.as_ref()),
        });
    }
    pools
}

fn ranges(
    said: &schema::Pool,
    taken: &mut Vec<(AddressRange, Position)>,
    report: &mut Report,
) -> Vec<AddressRange> {
    let list = &said.addresses;
    if list.value.is_empty() {
        report.error(list.at, "a pool without addresses", "list prefixes, ranges or addresses");
    }
    if let Some(first) = list.value.get(RANGES_MAX) {
        let message = format!("{} ranges of a pool are too many", list.value.len());
        report.error(first.at, message, format!("at most {RANGES_MAX}"));
        return Vec::new();
    }
    let mut ranges = Vec::new();
    for text in &list.value {
        let range: AddressRange = match text.value.parse() {
            Ok(range) => range,
            Err(error) => {
                let error: crate::kube::RangeError = error;
                let hint = "write `192.0.2.0/24`, `192.0.2.10-192.0.2.20` or `2001:db8::1`";
                report.error(text.at, format!("`{}` {error}", text.value), hint);
                continue;
            }
        };
        if let Some((other, at)) = taken.iter().find(|(other, _)| other.overlaps(&range)) {
            let message = format!("`{}` has addresses that {other} has too", text.value);
            report.error(text.at, message, scalar::other_at(*at));
            continue;
        }
        taken.push((range, text.at));
        ranges.push(range);
    }
    ranges
}
