//! `lbctl get` of what the proxy serves. Only the daemon knows.

use super::{
    output::{Exit, Output},
    proxy_rows::UpstreamRow,
    source,
};
use crate::{
    admin::resource::{
        CertificateResource, List, ListenerResource, RouteResource, UpstreamResource,
    },
    runtime::Instance,
};
use anyhow::Result;
use serde::de::DeserializeOwned;

pub(super) fn listeners(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<ListenerResource> = ask(instance, "/v1/listeners")?;
    output.list(&list)?;
    Ok(judge(list.items.iter().all(|it| it.problems.is_empty())))
}

pub(super) fn routes(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<RouteResource> = ask(instance, "/v1/routes")?;
    output.list(&list)?;
    Ok(judge(list.items.iter().all(|it| it.problems.is_empty())))
}

pub(super) fn upstreams(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<UpstreamResource> = ask(instance, "/v1/upstreams")?;
    output.list_as(&list, || UpstreamRow::of(&list.items))?;
    Ok(judge(list.items.iter().all(|it| it.problems.is_empty())))
}

pub(super) fn certificates(instance: &Instance, output: Output) -> Result<Exit> {
    let list: List<CertificateResource> = ask(instance, "/v1/certificates")?;
    output.list(&list)?;
    Ok(judge(list.items.iter().all(|it| it.usable)))
}

fn ask<T: DeserializeOwned>(instance: &Instance, path: &str) -> Result<T> {
    Ok(source::ask(instance, async |client| client.get(path).await)?)
}

fn judge(is_well: bool) -> Exit {
    if is_well { Exit::Done } else { Exit::Degraded }
}
