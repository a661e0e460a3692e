//! What services share with `defaults`: mode, affinity, timeouts, ring, health.

use super::{health, scalar};
use crate::{
    config::{
        diagnostic::{Position, Report},
        located::Located,
        schema,
    },
    model::{Affinity, ForwardingMode, HealthCheck, UdpPolicy},
};
use lb_common::limits;
use std::time::Duration;

/// IPVS's timeout of an established TCP connection.
const IDLE_TIMEOUT_DEFAULT: Duration = Duration::from_mins(15);

/// Shorter, and a slow client's pause ends its flow.
const IDLE_TIMEOUT_MIN: Duration = Duration::from_secs(10);

/// Longer, and the transition window of a change outlives the next day's change.
const IDLE_TIMEOUT_MAX: Duration = Duration::from_hours(24);

/// Fewest slots that one backend may have: the rule of thumb of the Maglev paper (NSDI 2016,
/// section 3.4), "larger than 100 x N for at most 1 % difference".
const SLOTS_PER_BACKEND: usize = 100;

/// Fewest slots: the first prime that serves one backend.
const RING_SLOTS_MIN: u32 = 101;

/// The values in force.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) mode: ForwardingMode,
    pub(super) affinity: Affinity,
    pub(super) udp: UdpPolicy,
    pub(super) idle_timeout: Duration,
    pub(super) ring_slots: u32,
    ring_slots_at: Option<Position>,
    pub(super) health: Option<HealthCheck>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            mode: ForwardingMode::default(),
            affinity: Affinity::default(),
            udp: UdpPolicy::default(),
            idle_timeout: IDLE_TIMEOUT_DEFAULT,
            ring_slots: limits::RING_SLOTS_MAX,
            ring_slots_at: None,
            health: None,
        }
    }
}

/// The keys that `defaults` and a service have in common.
pub(super) struct Fields<'a> {
    mode: Option<schema::Mode>,
    affinity: Option<schema::Affinity>,
    udp: Option<schema::Udp>,
    idle_timeout: Option<&'a Located<String>>,
    ring_slots: Option<&'a Located<i64>>,
    health: Option<&'a Located<schema::Health>>,
}

impl<'a> From<&'a schema::Defaults> for Fields<'a> {
    fn from(defaults: &'a schema::Defaults) -> Self {
        let schema::Defaults { mode, affinity, udp, idle_timeout, ring_slots, health, upstream: _ } =
            defaults;
        Self {
            mode: *mode,
            affinity: *affinity,
            udp: *udp,
            idle_timeout: idle_timeout.as_ref(),
            ring_slots: ring_slots.as_ref(),
            health: health.as_ref(),
        }
    }
}

impl<'a> From<&'a schema::Service> for Fields<'a> {
    fn from(service: &'a schema::Service) -> Self {
        Self {
            mode: service.mode,
            affinity: service.affinity,
            udp: service.udp,
            idle_timeout: service.idle_timeout.as_ref(),
            ring_slots: service.ring_slots.as_ref(),
            health: service.health.as_ref(),
        }
    }
}

/// How packets reach backends.
pub(super) const fn mode(mode: schema::Mode) -> ForwardingMode {
    match mode {
        schema::Mode::Auto => ForwardingMode::Auto,
        schema::Mode::L2dsr => ForwardingMode::L2dsr,
        schema::Mode::Tunnel => ForwardingMode::Tunnel,
        schema::Mode::Nat => ForwardingMode::Nat,
        schema::Mode::Dnat => ForwardingMode::Dnat,
    }
}

impl Policy {
    /// These values, where `fields` says nothing else.
    pub(super) fn overridden_by(&self, fields: &Fields<'_>, report: &mut Report) -> Self {
        let mut policy = self.clone();
        if let Some(mode) = fields.mode {
            policy.mode = self::mode(mode);
        }
        if let Some(affinity) = fields.affinity {
            policy.affinity = match affinity {
                schema::Affinity::None => Affinity::None,
                schema::Affinity::Source => Affinity::Source,
            };
        }
        if let Some(udp) = fields.udp {
            policy.udp = match udp {
                schema::Udp::Stick => UdpPolicy::Stick,
                schema::Udp::Migrate => UdpPolicy::Migrate,
            };
        }
        if let Some(text) = fields.idle_timeout {
            policy.idle_timeout = idle_timeout(text, report).unwrap_or(policy.idle_timeout);
        }
        if let Some(slots) = fields.ring_slots {
            // A ring that was refused is not judged by its backends too.
            policy.ring_slots_at = ring_slots(slots, report).map(|valid| {
                policy.ring_slots = valid;
                slots.at
            });
        }
        if let Some(file) = fields.health {
            policy.health = health::lower(file, report);
        }
        policy
    }

    /// Whether the ring has slots enough for the backends to share evenly.
    pub(super) fn check_ring(
        &self,
        service: &str,
        backends: usize,
        at: Position,
        report: &mut Report,
    ) {
        let needed = backends.saturating_mul(SLOTS_PER_BACKEND);
        if self.ring_slots as usize >= needed {
            return;
        }
        let at = self.ring_slots_at.unwrap_or(at);
        let slots = self.ring_slots;
        if slots == limits::RING_SLOTS_MAX {
            report.warning(
                at,
                format!("service `{service}` shares {slots} slots between {backends} backends"),
                "that is the largest ring; shares may differ by more than 1 %",
            );
        } else {
            let wanted = u32::try_from(needed).unwrap_or(u32::MAX).min(limits::RING_SLOTS_MAX);
            report.error(
                at,
                format!(
                    "{slots} slots are too few for the {backends} backends of service `{service}`"
                ),
                format!(
                    "Maglev shares evenly to 1 % from {SLOTS_PER_BACKEND} slots a backend: use {} \
                     or more, or leave the key out for {}",
                    prime_from(wanted),
                    limits::RING_SLOTS_MAX
                ),
            );
        }
    }
}

fn idle_timeout(text: &Located<String>, report: &mut Report) -> Option<Duration> {
    let range = IDLE_TIMEOUT_MIN..=IDLE_TIMEOUT_MAX;
    let timeout = scalar::duration("idle timeout", text, range, report)?;
    if timeout.subsec_nanos() != 0 {
        let message = format!("`{}` is not a whole number of seconds", text.value);
        report.error(text.at, message, "flows are aged by the second");
        return None;
    }
    Some(timeout)
}

fn ring_slots(slots: &Located<i64>, report: &mut Report) -> Option<u32> {
    let range = RING_SLOTS_MIN..=limits::RING_SLOTS_MAX;
    let count = scalar::number("ring size", slots, range, report)?;
    if is_prime(count) {
        return Some(count);
    }
    report.error(
        slots.at,
        format!("ring size {count} is not a prime"),
        format!(
            "each backend walks the ring in steps of its own, and only a prime lets every step \
             reach every slot: use {}",
            prime_from(count)
        ),
    );
    None
}

/// The first prime that is not below `from`, at most the largest ring's.
fn prime_from(from: u32) -> u32 {
    (from..limits::RING_SLOTS_MAX).find(|n| is_prime(*n)).unwrap_or(limits::RING_SLOTS_MAX)
}

fn is_prime(number: u32) -> bool {
    number >= 2 && (2..=number.isqrt()).all(|divisor| !number.is_multiple_of(divisor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes() {
        let small: Vec<u32> = (0..30).filter(|n| is_prime(*n)).collect();
        assert_eq!(small, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!(is_prime(limits::RING_SLOTS_MAX) && is_prime(RING_SLOTS_MIN));
        assert_eq!(prime_from(4_096), 4_099);
        assert_eq!(prime_from(65_522), 65_537);
    }
}
