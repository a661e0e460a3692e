//! What is said where the data plane does not run what was lowered.

use crate::{
    Condition, ListenerReport, Lowered, Notice, ObjectId, ObjectKind, ParentReport, Status,
};

/// Reason of `Programmed`: it is accepted but does not run (Gateway API, `GatewayReasonPending`).
const PENDING: &str = "Pending";

/// Reason of an Event about something that does not work while the rest does.
const NOT_PROGRAMMED: &str = "NotProgrammed";

impl Lowered {
    /// Nothing of it runs, for the reason `why`: whatever would be programmed is pending.
    pub fn refuse(&mut self, why: &str) {
        for status in self.statuses.values_mut() {
            status.make_mut().each_condition(|it| pend(it, why));
        }
    }

    /// One thing of [`Lowered::desired`] does not work while the rest does: a listener
    /// (`NS/GATEWAY/SECTION`, `NS/GATEWAY/SETNS/SET/SECTION`) or a Service (`Service/NS/NAME`,
    /// with or without `:PORT`). Of other names nothing is said.
    pub fn fail(&mut self, name: &str, why: &str) {
        let parts: Vec<&str> = name.split('/').collect();
        let (kind, namespace, object, section) = match parts.as_slice() {
            ["Service", namespace, service] => {
                let service = service.split(':').next().unwrap_or_default();
                (ObjectKind::Service, *namespace, service, "")
            }
            [namespace, gateway, section] => (ObjectKind::Gateway, *namespace, *gateway, *section),
            [_, _, namespace, set, section] => {
                (ObjectKind::ListenerSet, *namespace, *set, *section)
            }
            _ => return,
        };
        let is_meant = |it: &&ObjectId| {
            it.kind == kind && it.key.namespace == namespace && it.key.name == object
        };
        let ids: Vec<_> = self.statuses.keys().filter(is_meant).cloned().collect();
        for id in ids {
            if let Some(status) = self.statuses.get_mut(&id) {
                status.make_mut().fail(section, why);
            }
            self.notices.push(Notice {
                object: id,
                is_warning: true,
                reason: NOT_PROGRAMMED,
                message: why.to_owned(),
            });
        }
    }
}

impl Status {
    fn fail(&mut self, section: &str, why: &str) {
        match self {
            Self::Gateway { listeners, .. } | Self::ListenerSet { listeners, .. } => {
                let listener = listeners.iter_mut().filter(|it| it.name == section);
                for condition in listener.flat_map(|it| &mut it.conditions) {
                    pend(condition, why);
                }
            }
            Self::LoadBalancer { ports, conditions, .. } => {
                for (_, _, error) in ports {
                    error.get_or_insert_with(|| NOT_PROGRAMMED.to_owned());
                }
                for condition in conditions {
                    pend(condition, why);
                }
            }
            _ => {}
        }
    }

    fn each_condition(&mut self, mut change: impl FnMut(&mut Condition)) {
        let of_listeners = |listeners: &mut Vec<ListenerReport>, change: &mut dyn FnMut(&mut _)| {
            listeners.iter_mut().flat_map(|it| &mut it.conditions).for_each(change);
        };
        let of_parents = |parents: &mut Vec<ParentReport>, change: &mut dyn FnMut(&mut _)| {
            parents.iter_mut().flat_map(|it| &mut it.conditions).for_each(change);
        };
        match self {
            Self::Gateway { conditions, listeners, .. }
            | Self::ListenerSet { conditions, listeners } => {
                conditions.iter_mut().for_each(&mut change);
                of_listeners(listeners, &mut change);
            }
            Self::Parents(parents) | Self::Ancestors(parents) => of_parents(parents, &mut change),
            Self::GatewayClass { conditions, .. }
            | Self::LoadBalancer { conditions, .. }
            | Self::AddressPool { conditions, .. } => conditions.iter_mut().for_each(change),
        }
    }
}

/// `Programmed`, and what Services have in its place: there it needs a prefix.
fn pend(condition: &mut Condition, why: &str) {
    let kind = condition.kind.rsplit('/').next();
    if kind == Some("Programmed") && condition.holds == Some(true) {
        condition.holds = Some(false);
        condition.reason = PENDING;
        why.clone_into(&mut condition.message);
    }
}
