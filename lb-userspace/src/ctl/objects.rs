//! `lbctl get gateways` and `lbctl get services`: objects of clusters. Only the daemon knows.

use super::{
    output::{Exit, Output},
    source,
    table::{Row, or_dash},
};
use crate::{
    admin::resource::List,
    kube::{GatewayListenerReport, GatewayReport, ServiceReport},
    runtime::Instance,
};
use anyhow::Result;

pub(super) fn gateways(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<GatewayReport> =
        source::ask(instance, async |client| client.get("/v1/gateways").await)?;
    output.list(&list)?;
    Ok(judge(list.items.iter().all(|it| it.programmed && it.reason.is_none())))
}

pub(super) fn services(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<ServiceReport> =
        source::ask(instance, async |client| client.get("/v1/services").await)?;
    output.list(&list)?;
    Ok(judge(list.items.iter().all(|it| it.programmed && it.reason.is_none())))
}

fn judge(is_well: bool) -> Exit {
    if is_well { Exit::Done } else { Exit::Degraded }
}

impl Row for GatewayReport {
    fn headings(wide: bool) -> Vec<&'static str> {
        let mut headings =
            vec!["GATEWAY", "CLUSTER", "CLASS", "ADDRESSES", "PROGRAMMED", "ROUTES", "REASON"];
        if wide {
            headings.push("LISTENERS");
        }
        headings
    }

    fn cells(&self, wide: bool) -> Vec<String> {
        let routes: u64 = self.listeners.iter().map(|it| u64::from(it.routes)).sum();
        let mut cells = vec![
            format!("{}/{}", self.namespace, self.name),
            self.cluster.clone(),
            self.class.clone(),
            list(&self.addresses, ","),
            yes_or_no(self.programmed),
            routes.to_string(),
            or_dash(self.reason.as_deref()),
        ];
        if wide {
            let told = |it: &GatewayListenerReport| {
                let state = it.reason.as_deref().unwrap_or("ok");
                format!("{} ({} routes, {state})", it.name, it.routes)
            };
            cells.push(list(&self.listeners.iter().map(told).collect::<Vec<_>>(), "; "));
        }
        cells
    }
}

impl Row for ServiceReport {
    fn headings(_wide: bool) -> Vec<&'static str> {
        vec!["SERVICE", "CLUSTER", "ADDRESSES", "PROGRAMMED", "ENDPOINTS", "REASON"]
    }

    fn cells(&self, _wide: bool) -> Vec<String> {
        vec![
            format!("{}/{}", self.namespace, self.name),
            self.cluster.clone(),
            list(&self.addresses, ","),
            yes_or_no(self.programmed),
            format!("{}/{}", self.endpoints.ready, self.endpoints.total),
            or_dash(self.reason.as_deref()),
        ]
    }
}

fn list(texts: &[String], between: &str) -> String {
    let text = texts.join(between);
    or_dash((!text.is_empty()).then_some(text.as_str()))
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}
