//! A token bucket that several threads draw from without a lock.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::vocabulary::LimiterSettings;

/// Of a nanosecond: fine enough that rounding costs no bandwidth, coarse enough for nine years.
const TICKS: u64 = 64;

/// The bucket as one point in time: when it would be full again. It holds what fits between that and now + burst
/// (the "virtual scheduling" form of the leaky bucket, ITU-T I.371).
pub struct Limiter {
    settings: LimiterSettings,
    full_at: AtomicU64,
}

impl Limiter {
    pub fn new(settings: LimiterSettings) -> Self {
        Self {
            settings,
            full_at: AtomicU64::new(0),
        }
    }

    /// How long it takes to earn so many bytes.
    fn ticks(&self, bytes: u64) -> u64 {
        let per_bit = u128::from(TICKS) * 1_000_000_000;
        let ticks =
            u128::from(bytes) * 8 * per_bit / u128::from(self.settings.bits_per_second.max(1));
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 4)
            .min(u64::MAX / 4)
    }

    /// Spend so many bytes, if they are there.
    pub fn take(&self, bytes: u64, now: u64, use_reserve: bool) -> bool {
        let reserve = if use_reserve {
            0
        } else {
            self.settings.audio_reserve_bytes
        };
        let usable = self.settings.burst_bytes.checked_sub(reserve);
        let (Some(usable), now, cost) = (usable, now.saturating_mul(TICKS), self.ticks(bytes))
        else {
            return false;
        };
        let latest = now.saturating_add(self.ticks(usable));
        let spend = |full_at: u64| {
            Some(full_at.max(now).saturating_add(cost)).filter(|then| *then <= latest)
        };
        self.full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, spend)
            .is_ok()
    }

    /// Undo a `take`: another limiter refused.
    pub fn give_back(&self, bytes: u64) {
        let cost = self.ticks(bytes);
        let undo = |full_at: u64| Some(full_at.saturating_sub(cost));
        let _ = self
            .full_at
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, undo);
    }
}

/// The same over single events, for one thread at a time.
pub(crate) struct Bucket {
    per_second: f64,
    burst: f64,
    tokens: f64,
    filled_at: u64,
}

impl Bucket {
    pub(crate) fn new(per_second: f64, burst: f64) -> Self {
        Self {
            per_second,
            burst,
            tokens: burst,
            filled_at: 0,
        }
    }

    pub(crate) fn take(&mut self, now: u64) -> bool {
        self.take_above(0.0, now)
    }

    /// One, if it is not of the last `reserve`.
    pub(crate) fn take_above(&mut self, reserve: f64, now: u64) -> bool {
        let there = self.fill(now) >= 1.0 + reserve;
        if there {
            self.spend();
        }
        there
    }

    /// What is there now.
    pub(crate) fn fill(&mut self, now: u64) -> f64 {
        let seconds = now.saturating_sub(self.filled_at) as f64 / 1e9;
        self.tokens = (self.tokens + seconds * self.per_second).min(self.burst);
        self.filled_at = self.filled_at.max(now);
        self.tokens
    }

    /// One, or what is left of it.
    pub(crate) fn spend(&mut self) {
        self.tokens = (self.tokens - 1.0).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000_000;

    fn limiter(bits_per_second: u64, burst_bytes: u64, audio_reserve_bytes: u64) -> Limiter {
        Limiter::new(LimiterSettings {
            bits_per_second,
            burst_bytes,
            audio_reserve_bytes,
        })
    }

    #[test]
    fn what_was_earned_can_be_spent_and_no_more() {
        let limiter = limiter(8000, 100, 0);
        assert!(limiter.take(100, SECOND, true));
        assert!(!limiter.take(1, SECOND, true));
        assert!(limiter.take(50, SECOND + SECOND / 20, true));
        assert!(!limiter.take(1, SECOND + SECOND / 20, true));
    }

    #[test]
    fn threads_together_spend_no_more_than_one() {
        let limiter = limiter(8, 1000, 0);
        let passed: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| (0..1000).filter(|_| limiter.take(1, SECOND, true)).count())
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(passed, 1000);
    }

    proptest! {
        #[test]
        fn it_passes_what_rate_and_burst_allow_and_never_the_reserve(
            steps in proptest::collection::vec((0u64..20_000_000, 1u64..1500, any::<bool>()), 1..200),
        ) {
            let (rate, burst, reserve) = (1_000_000, 20_000, 4_000);
            let limiter = limiter(rate, burst, reserve);
            let (mut now, mut tokens) = (SECOND, burst as f64);
            for (pause, bytes, urgent) in steps {
                now += pause;
                tokens = (tokens + pause as f64 * rate as f64 / 8e9).min(burst as f64);
                let left = tokens - if urgent { 0.0 } else { reserve as f64 };
                let passed = limiter.take(bytes, now, urgent);
                if (left - bytes as f64).abs() > 0.01 {
                    prop_assert_eq!(passed, left > bytes as f64);
                }
                if passed {
                    tokens -= bytes as f64;
                }
            }
        }
    }
}
