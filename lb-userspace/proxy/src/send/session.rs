//! Endpoints for sessions that are not HTTP.

use super::{Lease, Upstream};
use crate::{
    http::Reason,
    stream::{self, Outgoing, Pick},
};
use std::{net::SocketAddr, time::Duration};

impl Pick for Upstream {
    type Lease = Lease;

    fn pick(&self, client: SocketAddr, exclude: &[SocketAddr]) -> Result<Lease, Reason> {
        self.pick(&self.key(Some(client.ip()), None), exclude)
    }
}

impl stream::Lease for Lease {
    fn address(&self) -> SocketAddr {
        self.address()
    }

    fn host_name(&self) -> Option<&str> {
        self.host_name()
    }

    fn outgoing(&self) -> &Outgoing {
        &self.endpoint().settings.outgoing
    }

    fn succeeded(&self, latency: Duration) {
        self.succeeded(latency);
    }

    fn failed(&self) {
        self.failed();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::tests::{compile, model};
    use lb_model::{Balance, HashKey, ProxyProtocol};
    use stream::Lease as _;

    #[test]
    fn a_clients_sessions_go_to_one_endpoint_and_know_how_to_speak_to_it() {
        let upstream = compile(&lb_model::Upstream {
            balance: Balance::Maglev(HashKey::Source),
            sends_proxy_protocol: Some(ProxyProtocol::V2),
            ..model(&[1, 1, 1, 1])
        });
        let upstream: &dyn Pick<Lease = Lease> = &*upstream;
        let pick = |port| upstream.pick(SocketAddr::from(([192, 0, 2, 1], port)), &[]).unwrap();
        let first = pick(1);
        assert!((2..50).all(|port| pick(port).address() == first.address()));
        assert_eq!(first.outgoing().proxy_protocol, Some(ProxyProtocol::V2));
        let other = upstream.pick(SocketAddr::from(([192, 0, 2, 1], 1)), &[first.address()]);
        assert_ne!(other.unwrap().address(), first.address());
    }
}
