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
    /// What a message counts for at least: small ones must not fill the queue for others.
    pub bytes_of_message: usize,
}

impl EgressBounds {
    fn cost(&self, message: &[u8]) -> usize {
        message.len().max(self.bytes_of_message)
    }
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
        let cost = self.bounds.cost(&message);
        let bytes = waiting.bytes + cost;
        let of_client = waiting.bytes_of.get(&target.five_tuple).unwrap_or(&0) + cost;
        if waiting.messages.len() >= self.bounds.messages
            || bytes > self.bounds.bytes
            || of_client > self.bounds.bytes_of_client
        {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Put::Refused;
        }
        waiting.bytes_of.insert(target.five_tuple, of_client);
        waiting.bytes = bytes;
        waiting.messages.push_back((Arc::clone(target), message));
        Put::queued(waiting.messages.len())
    }

    /// The oldest, at most so many, but what is of rows that are gone. Only an empty queue gives nothing: whoever
    /// takes from it goes to sleep then, and is woken by the first that comes.
    pub fn take(&self, most: usize) -> Vec<Egress> {
        let mut guard = self.waiting.lock();
        let waiting = &mut *guard;
        let mut taken = Vec::with_capacity(most.min(waiting.messages.len()));
        while taken.len() < most {
            let Some((target, message)) = waiting.messages.pop_front() else {
                break;
            };
            let cost = self.bounds.cost(&message);
            waiting.bytes -= cost;
            if let Some(of_client) = waiting.bytes_of.get_mut(&target.five_tuple) {
                *of_client -= cost;
                if *of_client == 0 {
                    waiting.bytes_of.remove(&target.five_tuple);
                }
            }
            if !target.removed.load(Ordering::Acquire) {
                taken.push(Egress {
                    five_tuple: target.five_tuple,
                    message,
                });
            }
        }
        taken
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vocabulary::Transport;

    fn target(port: u16) -> Arc<StreamTarget> {
        Arc::new(StreamTarget {
            five_tuple: FiveTuple {
                transport: Transport::Tcp,
                client: ([192, 0, 2, 1], port).into(),
                server: ([192, 0, 2, 2], 443).into(),
            },
            removed: AtomicBool::new(false),
        })
    }

    fn queue(messages: usize) -> EgressQueue {
        EgressQueue::new(EgressBounds {
            messages,
            bytes: 1 << 20,
            bytes_of_client: 1 << 20,
            bytes_of_message: 256,
        })
    }

    #[test]
    fn what_is_of_rows_that_are_gone_does_not_make_a_queue_look_empty() {
        let queue = queue(100);
        let (gone, there) = (target(1), target(2));
        for _ in 0..10 {
            queue.put(&gone, vec![0]);
        }
        assert_eq!(queue.put(&there, vec![1]), Put::Queued);
        gone.removed.store(true, Ordering::Release);
        let taken: Vec<_> = queue.take(4).into_iter().map(|one| one.message).collect();
        assert_eq!(taken, [vec![1]]);
        assert!(queue.take(4).is_empty());
        assert_eq!(queue.put(&there, vec![2]), Put::QueuedFirst);
    }

    #[test]
    fn nothing_is_kept_of_clients_for_whom_nothing_waits() {
        let queue = queue(2);
        for port in 1..100 {
            queue.put(&target(port), vec![0]);
        }
        assert_eq!(queue.refused(), 97);
        assert_eq!(queue.take(1).len(), 1);
        assert_eq!(queue.take(5).len(), 1);
        let waiting = queue.waiting.lock();
        assert_eq!((waiting.bytes_of.len(), waiting.bytes), (0, 0));
    }
}
