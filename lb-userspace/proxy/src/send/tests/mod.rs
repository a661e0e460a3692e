//! Tests of sending as a whole.

mod backend;
mod balance;
mod config;
mod dispatch;
mod http2;
mod limits;
mod outlier;
mod persistence;
mod pool;
mod resolve;
mod retry;
mod timeouts;
mod tls;

use super::{PickKey, Upstream, random};
use lb_model::{Endpoint, EndpointAddress};
use std::{collections::HashMap, net::SocketAddr, sync::Arc};

/// Endpoints `e0`, `e1`, ... of these weights at addresses of their own.
pub(super) fn model(weights: &[u16]) -> lb_model::Upstream {
    let endpoints = weights.iter().zip(1_u8..).map(|(weight, number)| {
        let address = EndpointAddress::Ip([10, 0, 0, number].into());
        let endpoint = Endpoint { address, port: 80, weight: *weight, drain: false };
        (format!("e{}", number - 1), endpoint)
    });
    lb_model::Upstream { endpoints: endpoints.collect(), ..lb_model::Upstream::default() }
}

/// As [`model`], at these addresses, of equal weights.
fn model_at(addresses: &[SocketAddr]) -> lb_model::Upstream {
    let endpoints = addresses.iter().enumerate().map(|(number, address)| {
        let endpoint = Endpoint {
            address: EndpointAddress::Ip(address.ip()),
            port: address.port(),
            weight: 1,
            drain: false,
        };
        (format!("e{number}"), endpoint)
    });
    lb_model::Upstream { endpoints: endpoints.collect(), ..lb_model::Upstream::default() }
}

pub(super) fn compile(model: &lb_model::Upstream) -> Arc<Upstream> {
    random::restart(1);
    Upstream::compile("shop", model, None, 7, None)
}

/// How often each endpoint is chosen by `count` requests, one after another.
fn shares(upstream: &Upstream, count: u32) -> HashMap<String, u32> {
    let mut shares = HashMap::new();
    for _ in 0..count {
        let lease = upstream.pick(&PickKey::default(), &[]).unwrap();
        *shares.entry(lease.name().to_owned()).or_default() += 1;
    }
    shares
}
