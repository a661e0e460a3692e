//! One of all replicas leads: election by a Lease, as client-go does it, so that any mix of
//! versions and tools can read it.
//!
//! Times in a Lease are other machines' clocks. What counts is for how long it was seen not to
//! change, by the own clock that only goes forward.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
    jiff::Timestamp,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
    core::Status,
};
use std::time::Duration;
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

/// How long a Lease holds that is not renewed (client-go, `LeaderElectionConfig.LeaseDuration`).
const LEASE_DURATION: Duration = Duration::from_secs(15);

/// How long the leader goes on leading while it cannot renew (client-go, `RenewDeadline`).
const RENEW_DEADLINE: Duration = Duration::from_secs(10);

/// Time between attempts (client-go, `RetryPeriod`).
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// The time between attempts of who does not lead is longer by up to this (client-go,
/// `JitterFactor`).
const JITTER: f64 = 1.2;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A candidate for leading. Stops to be one when dropped; its Lease then ends by itself.
#[derive(Debug)]
pub struct Candidate {
    leads: watch::Receiver<bool>,
    problem: watch::Receiver<Option<LeaseProblem>>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

/// Why a candidate cannot take part, until the operator changes something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeaseProblem {
    /// The namespace of the Lease is not there.
    NamespaceMissing(String),
    /// The API server does not allow to read or write the Lease: what it says.
    Forbidden(String),
}

impl LeaseProblem {
    /// In one word, in CamelCase.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::NamespaceMissing(_) => "LeaseNamespaceMissing",
            Self::Forbidden(_) => "LeaseForbidden",
        }
    }

    /// What the API server says.
    pub fn message(&self) -> &str {
        match self {
            Self::NamespaceMissing(message) | Self::Forbidden(message) => message,
        }
    }

    /// What to create or grant for a Lease in `namespace`.
    pub fn hint(&self, namespace: &str) -> String {
        match self {
            Self::NamespaceMissing(_) => format!(
                "create the namespace `{namespace}`, or name another as kubernetes.lease_namespace"
            ),
            Self::Forbidden(_) => format!(
                "allow its user to get, create and update `leases` of coordination.k8s.io in \
                 namespace `{namespace}`"
            ),
        }
    }

    fn of(status: &Status) -> Option<Self> {
        match status.code {
            // A Lease that is not there is no error, and a new one needs nothing but its namespace.
            404 => Some(Self::NamespaceMissing(status.message.clone())),
            401 | 403 => Some(Self::Forbidden(status.message.clone())),
            _ => None,
        }
    }
}

/// Takes part in the election by the Lease `name` in `namespace`. `identity` is unlike that of any
/// other replica, and new with each start. Must be called within a tokio runtime.
pub fn elect(client: Client, namespace: &str, name: &str, identity: &str) -> Candidate {
    let (sender, leads) = watch::channel(false);
    let (told, problem) = watch::channel(None);
    let (stop, stopped) = oneshot::channel();
    let run = Run {
        api: Api::namespaced(client, namespace),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        me: identity.to_owned(),
        leads: sender,
        problem: told,
        seen: None,
        renewed: None,
        rng: fastrand::Rng::new(),
    };
    Candidate { leads, problem, stop: Some(stop), task: tokio::spawn(run.run(stopped)) }
}

impl Candidate {
    /// Whether it leads now.
    pub fn leads(&self) -> watch::Receiver<bool> {
        self.leads.clone()
    }

    /// Why it cannot take part; `None` = it can, or the API server does not answer.
    pub fn problem(&self) -> watch::Receiver<Option<LeaseProblem>> {
        self.problem.clone()
    }

    /// Stops leading and gives the Lease back, so that another leads at once.
    pub async fn release(mut self) {
        if self.stop.take().is_none_or(|it| it.send(()).is_err()) {
            return;
        }
        if let Err(error) = (&mut self.task).await {
            tracing::debug!(%error, "the election ended badly");
        }
    }
}

impl Drop for Candidate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A Lease as it was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    /// Who holds it; empty = nobody.
    holder: String,
    /// How long it holds unless it is renewed.
    duration: Duration,
    /// Changes with each renewal.
    version: String,
    /// When it was first seen like this.
    at: Instant,
}

/// What a candidate does about a Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    /// There is none: it makes one.
    Create,
    /// It holds it: it renews it.
    Renew,
    /// Nobody holds it any more: it takes it.
    Take,
    /// Another holds it.
    Wait,
}

/// What `me` does about a Lease that was seen, or was not there.
fn decide(now: Instant, seen: Option<&Seen>, me: &str) -> Action {
    match seen {
        None => Action::Create,
        Some(seen) if seen.holder == me => Action::Renew,
        Some(seen) if seen.holder.is_empty() => Action::Take,
        Some(seen) if now.saturating_duration_since(seen.at) >= seen.duration => Action::Take,
        Some(_) => Action::Wait,
    }
}

struct Run {
    api: Api<Lease>,
    namespace: String,
    name: String,
    me: String,
    leads: watch::Sender<bool>,
    problem: watch::Sender<Option<LeaseProblem>>,
    seen: Option<Seen>,
    /// When the request began that renewed the Lease last, while it leads.
    renewed: Option<Instant>,
    rng: fastrand::Rng,
}

impl Run {
    async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            self.attempt().await;
            let is_leading = self.renewed.is_some();
            let jitter = if is_leading { 0.0 } else { self.rng.f64() * JITTER };
            tokio::select! {
                biased;
                () = sleep(RETRY_PERIOD.mul_f64(1.0 + jitter)) => {}
                _ = &mut stopped => break,
            }
        }
        self.lead(None);
        if let Err(error) = self.release().await {
            tracing::debug!(%error, lease = self.name, "the Lease is not released, it ends");
        }
    }

    /// Tries once, and notes whether it leads then.
    async fn attempt(&mut self) {
        let began = Instant::now();
        let deadline = self.renewed.map(|it| it + RENEW_DEADLINE);
        let left = deadline.map_or(REQUEST_TIMEOUT, |it| it.saturating_duration_since(began));
        let result = timeout(left.min(REQUEST_TIMEOUT), self.hold(began)).await;
        match &result {
            Ok(Ok(_)) => self.tell(None),
            Ok(Err(kube::Error::Api(status))) => self.tell(LeaseProblem::of(status)),
            _ => {}
        }
        match result {
            Ok(Ok(true)) => self.lead(Some(began)),
            Ok(Ok(false)) => self.lead(None),
            failed => {
                if let Ok(Err(error)) = failed {
                    tracing::debug!(%error, lease = self.name, "no answer about the Lease");
                }
                // Another attempt must fit in before the deadline, or leading would outlast it.
                let next = Instant::now() + RETRY_PERIOD;
                if deadline.is_some_and(|deadline| next >= deadline) {
                    self.lead(None);
                }
            }
        }
    }

    /// Takes or renews the Lease if that may be; whether it holds it then.
    async fn hold(&mut self, now: Instant) -> Result<bool, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        self.see(found.as_ref(), now);
        let action = decide(now, self.seen.as_ref(), &self.me);
        let result = match (action, found) {
            (Action::Wait, _) => return Ok(false),
            (Action::Create, _) | (_, None) => {
                let lease = self.claimed(Lease::default(), true);
                self.api.create(&PostParams::default(), &lease).await
            }
            (action, Some(lease)) => {
                let lease = self.claimed(lease, action == Action::Take);
                self.api.replace(&self.name, &PostParams::default(), &lease).await
            }
        };
        match result {
            Ok(_) => Ok(true),
            // Somebody else was faster; the next look tells who holds it.
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn see(&mut self, found: Option<&Lease>, now: Instant) {
        let Some(lease) = found else {
            self.seen = None;
            return;
        };
        let version = lease.metadata.resource_version.clone().unwrap_or_default();
        if self.seen.as_ref().is_some_and(|it| it.version == version) {
            return;
        }
        let spec = lease.spec.as_ref();
        let seconds = spec.and_then(|it| it.lease_duration_seconds).unwrap_or_default();
        let seconds = u64::try_from(seconds).unwrap_or_default();
        self.seen = Some(Seen {
            holder: spec.and_then(|it| it.holder_identity.clone()).unwrap_or_default(),
            duration: Duration::from_secs(seconds),
            version,
            at: now,
        });
    }

    /// The Lease with this candidate as its holder.
    fn claimed(&self, mut lease: Lease, is_new: bool) -> Lease {
        let now = MicroTime(Timestamp::now());
        lease.metadata = ObjectMeta { name: Some(self.name.clone()), ..lease.metadata };
        let mut spec = lease.spec.unwrap_or_default();
        if is_new {
            let transitions = spec.lease_transitions.map_or(0, |it| it.saturating_add(1));
            spec.lease_transitions = Some(transitions);
            spec.acquire_time = Some(now.clone());
        }
        lease.spec = Some(LeaseSpec {
            holder_identity: Some(self.me.clone()),
            lease_duration_seconds: i32::try_from(LEASE_DURATION.as_secs()).ok(),
            renew_time: Some(now),
            ..spec
        });
        lease
    }

    /// Gives the Lease back if this candidate holds it.
    async fn release(&mut self) -> Result<(), kube::Error> {
        let release = async {
            let Some(mut lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
            let Some(spec) = lease.spec.as_mut() else { return Ok(()) };
            if spec.holder_identity.as_deref() != Some(self.me.as_str()) {
                return Ok(());
            }
            spec.holder_identity = Some(String::new());
            // As client-go: who looks at durations sees that it is over.
            spec.lease_duration_seconds = Some(1);
            spec.renew_time = Some(MicroTime(Timestamp::now()));
            self.api.replace(&self.name, &PostParams::default(), &lease).await.map(drop)
        };
        timeout(REQUEST_TIMEOUT, release).await.unwrap_or(Ok(()))
    }

    /// Tells of a problem once.
    fn tell(&self, problem: Option<LeaseProblem>) {
        let is_news = self.problem.send_if_modified(|it| {
            let is_news =
                it.as_ref().map(LeaseProblem::reason) != problem.as_ref().map(LeaseProblem::reason);
            if is_news {
                it.clone_from(&problem);
            }
            is_news
        });
        if let Some(problem) = problem.filter(|_| is_news) {
            let (reason, error) = (problem.reason(), problem.message());
            let (lease, hint) = (&self.name, problem.hint(&self.namespace));
            tracing::warn!(
                lease,
                reason,
                error,
                hint,
                "no part in the election: nobody hands out addresses or writes status"
            );
        }
    }

    fn lead(&mut self, renewed: Option<Instant>) {
        self.renewed = renewed;
        let changed = self.leads.send_if_modified(|it| {
            let changed = *it != renewed.is_some();
            *it = renewed.is_some();
            changed
        });
        if changed {
            tracing::info!(lease = self.name, leads = renewed.is_some(), "leadership");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_is_taken_when_it_was_not_renewed_for_its_duration() {
        let at = Instant::now();
        let seen = |holder: &str| Seen {
            holder: holder.into(),
            duration: LEASE_DURATION,
            version: "7".into(),
            at,
        };
        let after = |seconds| at + Duration::from_secs(seconds);
        assert_eq!(decide(at, None, "me"), Action::Create);
        assert_eq!(decide(after(99), Some(&seen("me")), "me"), Action::Renew);
        assert_eq!(decide(at, Some(&seen("")), "me"), Action::Take);
        assert_eq!(decide(after(14), Some(&seen("other")), "me"), Action::Wait);
        assert_eq!(decide(after(15), Some(&seen("other")), "me"), Action::Take);
    }
}
