//! A row of the forwarding table: what it lets pass, what it counts, how it frames.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;

use crate::class::{Class, PayloadTypes};
use crate::egress::StreamTarget;
use crate::framing::{channel_data, indication, longest_in_indication};
use crate::limiter::Limiter;
use crate::table::Flow;
use crate::vocabulary::{DropReason, Leg};

/// Where a row's packets leave.
#[derive(Clone)]
pub enum Target {
    Datagram { listener: usize, client: SocketAddr },
    Stream(Arc<StreamTarget>),
}

/// How the target wants them.
pub(crate) enum Framing {
    Channel(u16),
    /// In Data indications, whose unchanging part this is.
    Indication(Vec<u8>),
}

impl Framing {
    pub(crate) fn longest_payload(&self) -> usize {
        match self {
            Self::Channel(_) => 0xFFFF,
            Self::Indication(head) => longest_in_indication(head),
        }
    }
}

/// What a row really forwarded, and what it dropped by reason.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Counters {
    pub packets: u64,
    pub bytes: u64,
    pub drops: [u64; DropReason::ALL.len()],
    /// Of the last forwarded packet, in nanoseconds; 0 for none.
    pub last_seen: u64,
}

impl Counters {
    pub fn add(&mut self, more: &Self) {
        self.packets += more.packets;
        self.bytes += more.bytes;
        for (sum, drops) in self.drops.iter_mut().zip(more.drops) {
            *sum += drops;
        }
    }
}

#[derive(Default)]
pub(crate) struct Tally {
    packets: AtomicU64,
    bytes: AtomicU64,
    drops: [AtomicU64; DropReason::ALL.len()],
    last_seen: AtomicU64,
}

/// One route, compiled. Aligned so that rows counted by different threads share no cache line.
#[repr(align(64))]
pub struct Row {
    pub target: Target,
    pub flow: Arc<Flow>,
    pub(crate) framing: Framing,
    /// That the target's framing can say the length of.
    pub(crate) longest_payload: usize,
    pub(crate) types: Option<PayloadTypes>,
    pub(crate) limiters: Vec<Arc<Limiter>>,
    pub(crate) dtls_bytes: Arc<AtomicU64>,
    pub(crate) dtls_budget_bytes: u64,
    pub(crate) tally: Tally,
    pub(crate) source: Leg,
    pub(crate) session_id: String,
    pub(crate) limiter_ids: Vec<String>,
}

impl Row {
    /// Whether this payload may pass; otherwise it is counted as dropped.
    pub fn admits(&self, payload: &[u8], now: u64) -> bool {
        match self.verdict(payload, now) {
            Ok(()) => true,
            Err(reason) => {
                self.dropped(reason, 1);
                false
            }
        }
    }

    fn verdict(&self, payload: &[u8], now: u64) -> Result<(), DropReason> {
        if payload.len() > self.longest_payload {
            return Err(DropReason::Class);
        }
        let class = match &self.types {
            Some(types) => types.class_of(payload)?,
            None => Class::Bulk,
        };
        let bytes = payload.len() as u64;
        if class == Class::Dtls {
            let spend =
                |spent: u64| Some(spent + bytes).filter(|spent| *spent <= self.dtls_budget_bytes);
            let spent = self
                .dtls_bytes
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend);
            spent.map_err(|_| DropReason::DtlsBudget)?;
        }
        for (at, limiter) in self.limiters.iter().enumerate() {
            if !limiter.take(bytes, now, class != Class::Bulk) {
                self.limiters
                    .iter()
                    .take(at)
                    .for_each(|passed| passed.give_back(bytes));
                return Err(DropReason::Limiter);
            }
        }
        Ok(())
    }

    pub fn dropped(&self, reason: DropReason, packets: u64) {
        if let Some(drops) = self.tally.drops.get(reason as usize) {
            drops.fetch_add(packets, Ordering::Relaxed);
        }
    }

    pub fn passed(&self, packets: u64, bytes: u64, now: u64) {
        self.tally.packets.fetch_add(packets, Ordering::Relaxed);
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.tally.last_seen.store(now, Ordering::Relaxed);
    }

    /// The channel number for the target, if it has one.
    pub fn target_channel(&self) -> Option<u16> {
        match self.framing {
            Framing::Channel(channel) => Some(channel),
            Framing::Indication(_) => None,
        }
    }

    /// The datagram for the target: ChannelData, or a Data indication naming the sender's row.
    pub fn framed(&self, payload: &[u8]) -> Vec<u8> {
        match &self.framing {
            Framing::Channel(channel) => channel_data(*channel, payload),
            Framing::Indication(head) => indication(head, payload),
        }
    }

    pub fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            packets: read(&self.tally.packets),
            bytes: read(&self.tally.bytes),
            drops: self.tally.drops.each_ref().map(read),
            last_seen: read(&self.tally.last_seen),
        }
    }

    /// Take over what the row that this one replaces has counted.
    pub(crate) fn continue_from(&mut self, old: Counters) {
        self.tally = Tally {
            packets: old.packets.into(),
            bytes: old.bytes.into(),
            drops: old.drops.map(AtomicU64::new),
            last_seen: old.last_seen.into(),
        };
    }
}
