//! Who may ask, by address.

use super::prefixes::Prefixes;
use crate::http::{Reason, Response};
use lb_model::AddressAccess;
use std::net::IpAddr;

/// Who may ask.
#[derive(Debug)]
pub(super) struct Access {
    may_ask: Prefixes<bool>,
    others_may: bool,
}

impl Access {
    pub(super) fn compile(access: &AddressAccess) -> Self {
        let mut may_ask = Prefixes::default();
        // What denies comes last and so wins a tie.
        for prefix in &access.allow {
            may_ask.insert(*prefix, true);
        }
        for prefix in &access.deny {
            may_ask.insert(*prefix, false);
        }
        Self { may_ask, others_may: access.allow.is_empty() }
    }

    /// The refusal, if there is one.
    pub(super) fn refuse(&self, client: IpAddr) -> Option<Response> {
        let may = self.may_ask.longest(client).copied().unwrap_or(self.others_may);
        (!may).then(|| Response::refusal(Reason::AddressDenied))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(allow: &[&str], deny: &[&str], client: &str) -> bool {
        let parsed = |all: &[&str]| all.iter().map(|it| it.parse().unwrap()).collect();
        let access = AddressAccess { allow: parsed(allow), deny: parsed(deny) };
        Access::compile(&access).refuse(client.parse().unwrap()).is_none()
    }

    #[test]
    fn the_longer_prefix_decides_and_deny_wins_a_tie() {
        for (allow, deny, client, may) in [
            (&[][..], &[][..], "192.0.2.1", true),
            (&[], &["192.0.2.0/24"], "192.0.2.1", false),
            (&[], &["192.0.2.0/24"], "::ffff:192.0.2.1", false),
            (&[], &["192.0.2.0/24"], "192.0.3.1", true),
            (&["192.0.2.0/24"], &[], "192.0.2.1", true),
            (&["192.0.2.0/24"], &[], "192.0.3.1", false),
            (&["192.0.2.0/24"], &[], "2001:db8::1", false),
            (&["192.0.2.0/24"], &["192.0.2.1/32"], "192.0.2.1", false),
            (&["192.0.2.0/24"], &["0.0.0.0/0"], "192.0.2.1", true),
            (&["192.0.2.0/24"], &["192.0.2.0/24"], "192.0.2.1", false),
        ] {
            assert_eq!(asks(allow, deny, client), may, "{allow:?} {deny:?} {client}");
        }
    }

    #[test]
    fn a_denied_address_gets_403() {
        let access = AddressAccess { allow: vec![], deny: vec!["0.0.0.0/0".parse().unwrap()] };
        let refusal = Access::compile(&access).refuse("192.0.2.1".parse().unwrap()).unwrap();
        assert_eq!((refusal.status, refusal.reason), (403, Some(Reason::AddressDenied)));
    }
}
