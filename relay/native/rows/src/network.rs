//! A budget per source network that takes the same memory whatever strangers send.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use crate::limiter::Bucket;

const SLOTS: usize = 1 << 16;

/// Buckets over a fixed table, by a keyed hash of the /24 or /48: nobody can choose whose slot to share.
pub(crate) struct NetworkBudget {
    buckets: Vec<Bucket>,
    hash: RandomState,
}

impl NetworkBudget {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            buckets: (0..SLOTS).map(|_| Bucket::new(per_second, burst)).collect(),
            hash: RandomState::new(),
        }
    }

    pub(crate) fn take(&mut self, ip: IpAddr, now: u64) -> bool {
        let slot = match ip {
            IpAddr::V4(ip) => self.hash.hash_one(ip.to_bits() >> 8),
            IpAddr::V6(ip) => self.hash.hash_one(ip.to_bits() >> 80),
        } as usize
            % SLOTS;
        self.buckets
            .get_mut(slot)
            .is_some_and(|bucket| bucket.take(now))
    }
}
