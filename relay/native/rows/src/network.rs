//! A budget per source network that takes the same memory whatever strangers send.

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;

use crate::limiter::Bucket;

const SLOTS: usize = 1 << 16;

/// Buckets over two fixed tables, each by a keyed hash of its own of the /24 or /48: nobody can choose whose slot
/// to share. Who shares one with a network that floods still has the other.
pub(crate) struct NetworkBudget {
    tables: [Slots; 2],
    burst: f64,
}

struct Slots {
    buckets: Vec<Bucket>,
    hash: RandomState,
}

impl Slots {
    fn new(per_second: f64, burst: f64) -> Self {
        Self {
            buckets: (0..SLOTS).map(|_| Bucket::new(per_second, burst)).collect(),
            hash: RandomState::new(),
        }
    }

    fn bucket(&mut self, ip: IpAddr) -> Option<&mut Bucket> {
        let slot = match ip {
            IpAddr::V4(ip) => self.hash.hash_one(ip.to_bits() >> 8),
            IpAddr::V6(ip) => self.hash.hash_one(ip.to_bits() >> 80),
        } as usize
            % SLOTS;
        self.buckets.get_mut(slot)
    }
}

impl NetworkBudget {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            tables: [Slots::new(per_second, burst), Slots::new(per_second, burst)],
            burst,
        }
    }

    /// Spend one in both tables, if either has it; and say which share of the burst was there.
    pub(crate) fn spend(&mut self, ip: IpAddr, now: u64) -> Option<f64> {
        let mut buckets = self.tables.each_mut().map(|table| table.bucket(ip));
        let mut most = 0.0f64;
        for bucket in buckets.iter_mut().flatten() {
            most = most.max(bucket.fill(now));
        }
        if most < 1.0 {
            return None;
        }
        for bucket in buckets.iter_mut().flatten() {
            bucket.spend();
        }
        Some(most / self.burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000_000;

    fn address(network: u16, host: u8) -> IpAddr {
        let [high, low] = network.to_be_bytes();
        IpAddr::from([10, high, low, host])
    }

    #[test]
    fn a_network_has_its_burst_and_its_rate_whatever_its_hosts() {
        let mut budget = NetworkBudget::new(10.0, 5.0);
        let passed = |budget: &mut NetworkBudget, now| {
            (0..100)
                .filter(|host| budget.spend(address(1, *host), now).is_some())
                .count()
        };
        assert_eq!(passed(&mut budget, NOW), 5);
        assert_eq!(passed(&mut budget, NOW + NOW / 5), 2);
    }

    #[test]
    fn networks_that_flood_take_nothing_from_others() {
        let mut budget = NetworkBudget::new(10.0, 5.0);
        for network in 0..100 {
            while budget.spend(address(network, 1), NOW).is_some() {}
        }
        for network in 1000..1010 {
            assert_eq!(
                (0..100)
                    .filter(|host| budget.spend(address(network, *host), NOW).is_some())
                    .count(),
                5
            );
        }
    }
}
