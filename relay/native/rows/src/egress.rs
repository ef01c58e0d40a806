//! What rows have for stream clients, until whoever holds the connections takes it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::vocabulary::FiveTuple;

/// Where a row's packets go when its receiver is a stream client.
pub struct StreamTarget {
    pub five_tuple: FiveTuple,
    /// The row is gone: what still waits of it is not sent.
    pub removed: AtomicBool,
}

/// What became of something put into a queue.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Put {
    Refused,
    Queued,
    /// The queue was empty: whoever takes from it may be asleep.
    QueuedFirst,
}

impl Put {
    pub(crate) fn queued(now_waiting: usize) -> Self {
        if now_waiting == 1 {
            Self::QueuedFirst
        } else {
            Self::Queued
        }
    }
}

/// Without the padding that streams need.
pub struct Egress {
    pub five_tuple: FiveTuple,
    pub message: Vec<u8>,
}

#[derive(Clone, Copy)]
pub struct EgressBounds {
    pub messages: usize,
    pub bytes: usize,
    pub bytes_of_client: usize,
}

#[derive(Default)]
struct Waiting {
    messages: VecDeque<(Arc<StreamTarget>, Vec<u8>)>,
    bytes: usize,
    bytes_of: HashMap<FiveTuple, usize>,
    paused: HashSet<FiveTuple>,
}

/// Bounded in messages and bytes, in all and of each client; what does not fit is refused, oldest stay.
pub struct EgressQueue {
    bounds: EgressBounds,
    waiting: Mutex<Waiting>,
    refused: AtomicU64,
}

impl EgressQueue {
    pub fn new(bounds: EgressBounds) -> Self {
        Self {
            bounds,
            waiting: Mutex::default(),
            refused: AtomicU64::new(0),
        }
    }

    /// Whether there was room, and the client keeps up.
    pub fn put(&self, target: &Arc<StreamTarget>, message: Vec<u8>) -> Put {
        let mut guard = self.waiting.lock();
        let waiting = &mut *guard;
        if waiting.paused.contains(&target.five_tuple) {
            return Put::Refused;
        }
        let bytes = waiting.bytes + message.len();
        let of_client = waiting.bytes_of.entry(target.five_tuple).or_default();
        if waiting.messages.len() >= self.bounds.messages
            || bytes > self.bounds.bytes
            || *of_client + message.len() > self.bounds.bytes_of_client
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Put::Refused;
        }
        *of_client += message.len();
        waiting.bytes = bytes;
        waiting.messages.push_back((Arc::clone(target), message));
        Put::queued(waiting.messages.len())
    }

    /// Everything there is, oldest first, but what is of rows that are gone.
    pub fn take(&self) -> Vec<Egress> {
        let messages = {
            let mut waiting = self.waiting.lock();
            waiting.bytes = 0;
            waiting.bytes_of.clear();
            std::mem::take(&mut waiting.messages)
        };
        let still = messages
            .into_iter()
            .filter(|(target, _)| !target.removed.load(Ordering::Acquire));
        still
            .map(|(target, message)| Egress {
                five_tuple: target.five_tuple,
                message,
            })
            .collect()
    }

    pub fn pause(&self, five_tuple: FiveTuple) {
        self.waiting.lock().paused.insert(five_tuple);
    }

    pub fn resume(&self, five_tuple: &FiveTuple) {
        self.waiting.lock().paused.remove(five_tuple);
    }

    /// Messages that found no room.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}
