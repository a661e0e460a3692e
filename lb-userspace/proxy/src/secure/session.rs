//! Sessions that clients resume: tickets whose keys rotate, or a bounded memory.

use super::policy::now_s;
use rustls::{
    Error, TicketRotator,
    crypto::{GetRandomFailed, aws_lc_rs::Ticketer},
    server::{NoServerSessionStorage, ProducesTickets, ServerConfig, StoresServerSessions},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a session can be resumed at most: half a day, which is what the tickets' own keys live.
const RESUMPTION_MAX: Duration = Duration::from_hours(12);

/// Sessions remembered per listener where tickets cannot serve. The oldest goes.
const REMEMBERED_MAX: usize = 8_192;

/// Bytes of early data that are taken; clients see the number in their tickets. A request header
/// fits.
const EARLY_DATA_BYTES_MAX: u32 = 16_384;

/// How the sessions of a listener are resumed. Kept over changes of the configuration.
#[derive(Clone, Debug)]
pub(super) enum Sessions {
    /// Not at all.
    Never,
    /// By tickets that hold the session: nothing is remembered here.
    Tickets(Arc<dyn ProducesTickets>),
    /// By memory. Early data needs it: each session is taken out once, so that early data cannot
    /// be played again (RFC 8446, section 8.1).
    Memory(Arc<Memory>),
}

impl Sessions {
    /// Sessions that live for `resumption`.
    pub(super) fn new(resumption: Duration, early_data: bool) -> Result<Self, Error> {
        // A key makes tickets for half of the time and opens them for the other half.
        let half_s = resumption.min(RESUMPTION_MAX).as_secs() as u32 / 2;
        Ok(match half_s {
            0 => Self::Never,
            _ if early_data => Self::Memory(Arc::new(Memory::new(2 * i64::from(half_s)))),
            _ => Self::Tickets(Arc::new(TicketRotator::new(half_s, ticket_key)?)),
        })
    }

    /// Has `config` resume by these.
    pub(super) fn apply(&self, config: &mut ServerConfig) {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        match self {
            Self::Never => config.send_tls13_tickets = 0,
            Self::Tickets(tickets) => config.ticketer = Arc::clone(tickets),
            Self::Memory(memory) => {
                config.session_storage = Arc::clone(memory) as Arc<dyn StoresServerSessions>;
                config.max_early_data_size = EARLY_DATA_BYTES_MAX;
                // Early data is answered when the handshake is complete.
                config.send_half_rtt_data = false;
            }
        }
    }
}

/// A key for tickets. rustls makes one that rotates by itself after six hours, which is never
/// before the rotation around it.
fn ticket_key() -> Result<Box<dyn ProducesTickets>, GetRandomFailed> {
    Ok(Box::new(TicketKey(Ticketer::new().map_err(|_| GetRandomFailed)?)))
}

#[derive(Debug)]
struct TicketKey(Arc<dyn ProducesTickets>);

impl ProducesTickets for TicketKey {
    fn enabled(&self) -> bool {
        self.0.enabled()
    }

    fn lifetime(&self) -> u32 {
        self.0.lifetime()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.0.decrypt(cipher)
    }
}

/// Remembered sessions.
#[derive(Debug)]
pub(super) struct Memory {
    lifetime_s: i64,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    sessions: HashMap<Vec<u8>, (i64, Vec<u8>)>,
    /// Oldest first; some were taken already.
    order: VecDeque<Vec<u8>>,
}

impl Memory {
    fn new(lifetime_s: i64) -> Self {
        Self { lifetime_s, kept: Mutex::default() }
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        // Nothing in here can be left half done.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_alive(&self, since_s: i64) -> bool {
        now_s().saturating_sub(since_s) <= self.lifetime_s
    }
}

impl StoresServerSessions for Memory {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        let mut kept = self.kept();
        if kept.order.len() >= REMEMBERED_MAX
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.sessions.remove(&oldest);
        }
        kept.order.push_back(key.clone());
        kept.sessions.insert(key, (now_s(), value));
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        let kept = self.kept();
        let (since_s, value) = kept.sessions.get(key)?;
        self.is_alive(*since_s).then(|| value.clone())
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let (since_s, value) = self.kept().sessions.remove(key)?;
        self.is_alive(since_s).then_some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_forgets_the_oldest_and_gives_each_session_once() {
        let memory = Memory::new(60);
        for number in 0..=REMEMBERED_MAX {
            assert!(memory.put(number.to_le_bytes().to_vec(), vec![1]));
        }
        assert_eq!(memory.get(&0_usize.to_le_bytes()), None);
        assert_eq!(memory.take(&1_usize.to_le_bytes()), Some(vec![1]));
        assert_eq!(memory.take(&1_usize.to_le_bytes()), None);
        assert!(memory.kept().sessions.len() <= REMEMBERED_MAX);
    }

    #[test]
    fn a_lifetime_of_nothing_resumes_nothing() {
        assert!(matches!(Sessions::new(Duration::ZERO, true), Ok(Sessions::Never)));
        let tickets = Sessions::new(Duration::from_hours(2), false);
        assert!(matches!(tickets, Ok(Sessions::Tickets(tickets)) if tickets.lifetime() == 7_200));
    }
}
