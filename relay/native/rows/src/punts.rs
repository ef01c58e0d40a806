//! What waits for control, and who may put how much there.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::egress::Put;
use crate::framing::is_stun_request;
use crate::limiter::Bucket;
use crate::network::NetworkBudget;
use crate::table::{Flow, Hold};
use crate::vocabulary::{FiveTuple, Transport};

/// Of one five-tuple may wait the room that is left, divided by this.
const ROOM_FOR_OTHERS: usize = 8;
/// The share of its burst that a network has left if it was quiet.
const QUIET: f64 = 0.5;

/// A datagram without a row.
pub struct Punt {
    pub five_tuple: FiveTuple,
    pub datagram: Vec<u8>,
}

/// The same bounds as the portable plane's, which `relay/planes/punt_queue.py` explains; rates a second.
#[derive(Clone, Copy)]
pub struct PuntBounds {
    pub waiting: usize,
    pub waiting_bytes: usize,
    pub strangers_waiting: usize,
    pub stream_strangers_waiting: usize,
    /// The longest datagram of a stranger.
    pub stranger_bytes: usize,
    pub owned: (f64, f64),
    pub strangers: (f64, f64),
    pub stream_strangers: (f64, f64),
    pub network: (f64, f64),
}

#[derive(Clone, Copy)]
pub struct PuntCounters {
    pub punted: u64,
    pub refused_owned: u64,
    pub refused_stranger: u64,
}

/// A datagram's leave to be put into the queue.
pub struct Admission {
    five_tuple: FiveTuple,
    owned: bool,
    hold: Option<Hold>,
}

struct Waiting {
    punts: VecDeque<(Admission, Vec<u8>)>,
    bytes: usize,
    strangers: usize,
    networks: NetworkBudget,
    udp_strangers: Bucket,
    stream_strangers: Bucket,
    /// Of the datagrams that control is dealing with.
    taken: Vec<Hold>,
}

/// Bounded in datagrams and bytes; what does not fit is dropped and counted, oldest stay.
pub struct PuntQueue {
    bounds: PuntBounds,
    waiting: Mutex<Waiting>,
    punted: AtomicU64,
    refused_owned: AtomicU64,
    refused_stranger: AtomicU64,
}

impl PuntQueue {
    pub fn new(bounds: PuntBounds) -> Self {
        Self {
            bounds,
            waiting: Mutex::new(Waiting {
                punts: VecDeque::new(),
                bytes: 0,
                strangers: 0,
                networks: NetworkBudget::new(bounds.network.0, bounds.network.1),
                udp_strangers: Bucket::new(bounds.strangers.0, bounds.strangers.1),
                stream_strangers: Bucket::new(bounds.stream_strangers.0, bounds.stream_strangers.1),
                taken: Vec::new(),
            }),
            punted: AtomicU64::new(0),
            refused_owned: AtomicU64::new(0),
            refused_stranger: AtomicU64::new(0),
        }
    }

    /// The budget of a five-tuple that owns an allocation: media at full rate, until channels exist.
    pub(crate) fn owners_bucket(&self) -> Bucket {
        Bucket::new(self.bounds.owned.0, self.bounds.owned.1)
    }

    /// Whether this datagram may be put here; otherwise it is counted as refused. `flow` is what the table knows
    /// of its five-tuple, whose later datagrams wait from now on.
    ///
    /// The bounds may be exceeded by what threads have admitted and not put yet.
    pub fn admit(
        &self,
        five_tuple: FiveTuple,
        flow: Option<&Arc<Flow>>,
        datagram: &[u8],
        now: u64,
    ) -> Option<Admission> {
        let owner = flow.filter(|flow| flow.is_owned());
        // What can be refused without a lock costs none.
        let considered = owner.is_some()
            || datagram.len() <= self.bounds.stranger_bytes && is_stun_request(datagram);
        let admitted = considered && {
            let mut waiting = self.waiting.lock();
            let room = self.bounds.waiting.saturating_sub(waiting.punts.len());
            room > 0
                && waiting.bytes + datagram.len() <= self.bounds.waiting_bytes
                && match owner {
                    Some(flow) => flow.waiting() <= room / ROOM_FOR_OTHERS && flow.take(now),
                    None => self.takes_stranger(&mut waiting, five_tuple, now),
                }
        };
        let owned = owner.is_some();
        if !admitted {
            let refused = if owned {
                &self.refused_owned
            } else {
                &self.refused_stranger
            };
            refused.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Admission {
            five_tuple,
            owned,
            hold: flow.map(Flow::hold),
        })
    }

    pub fn put(&self, admission: Admission, datagram: &[u8]) -> Put {
        let copy = datagram.to_vec();
        let mut waiting = self.waiting.lock();
        self.punted.fetch_add(1, Ordering::Relaxed);
        waiting.strangers += usize::from(!admission.owned);
        waiting.bytes += datagram.len();
        waiting.punts.push_back((admission, copy));
        Put::queued(waiting.punts.len())
    }

    fn takes_stranger(&self, waiting: &mut Waiting, five_tuple: FiveTuple, now: u64) -> bool {
        if five_tuple.transport != Transport::Udp {
            return waiting.strangers < self.bounds.stream_strangers_waiting
                && waiting.stream_strangers.take(now);
        }
        waiting.strangers < self.bounds.strangers_waiting
            && waiting
                .networks
                .spend(five_tuple.client.ip(), now)
                .is_some_and(|share| {
                    let reserve = if share >= QUIET {
                        0.0
                    } else {
                        self.bounds.strangers.1 / 2.0
                    };
                    waiting.udp_strangers.take_above(reserve, now)
                })
    }

    /// What was taken has been dealt with: nobody waits behind it any more.
    pub fn settle(&self) {
        self.waiting.lock().taken.clear();
    }

    /// The oldest, at most so many. Until `settle`, later datagrams of theirs wait.
    pub fn take(&self, most: usize) -> Vec<Punt> {
        let mut guard = self.waiting.lock();
        let waiting = &mut *guard;
        waiting.taken.clear();
        let count = most.min(waiting.punts.len());
        let mut batch = Vec::with_capacity(count);
        for (admission, datagram) in waiting.punts.drain(..count) {
            waiting.bytes -= datagram.len();
            waiting.strangers -= usize::from(!admission.owned);
            waiting.taken.extend(admission.hold);
            batch.push(Punt {
                five_tuple: admission.five_tuple,
                datagram,
            });
        }
        batch
    }

    pub fn counters(&self) -> PuntCounters {
        PuntCounters {
            punted: self.punted.load(Ordering::Relaxed),
            refused_owned: self.refused_owned.load(Ordering::Relaxed),
            refused_stranger: self.refused_stranger.load(Ordering::Relaxed),
        }
    }
}
