//! When which flow sends what.

use serde::Deserialize;

/// Bursts of one kind of packet, each of the next flow, at an even pace.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    pub payload_bytes: usize,
    pub payload_type: u8,
    #[serde(default = "one")]
    pub packets_per_burst: usize,
    /// Of all flows together.
    pub bursts_per_second: f64,
}

fn one() -> usize {
    1
}

/// What the flows are to send: at a pace, or as fast as it comes back.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    Paced(Vec<Stream>),
    /// As many packets on their way as this, each one that arrives making room for another.
    Window {
        packets: u64,
        payload_bytes: usize,
        payload_type: u8,
    },
}

/// One packet that is due.
#[derive(Clone, Copy)]
pub struct Due {
    pub flow: usize,
    pub payload_bytes: usize,
    pub payload_type: u8,
}

pub struct Pace {
    schedule: Schedule,
    flows: usize,
    started_nanoseconds: u64,
    /// By stream, bursts that were put into a batch.
    bursts: Vec<u64>,
    next_flow: usize,
    /// Nanoseconds that a burst waited at most after it was due.
    pub behind_nanoseconds: u64,
}

impl Pace {
    pub fn new(schedule: Schedule, flows: usize, now: u64) -> Self {
        let streams = match &schedule {
            Schedule::Paced(streams) => streams.len(),
            Schedule::Window { .. } => 0,
        };
        Self {
            schedule,
            flows,
            started_nanoseconds: now,
            bursts: vec![0; streams],
            next_flow: 0,
            behind_nanoseconds: 0,
        }
    }

    /// Add what is due to `batch`, up to `most` of it.
    pub fn fill(&mut self, batch: &mut Vec<Due>, most: usize, on_their_way: u64, now: u64) {
        match &self.schedule {
            Schedule::Window {
                packets,
                payload_bytes,
                payload_type,
            } => {
                let room = packets.saturating_sub(on_their_way + batch.len() as u64) as usize;
                for _ in 0..room.min(most.saturating_sub(batch.len())) {
                    batch.push(Due {
                        flow: self.next_flow,
                        payload_bytes: *payload_bytes,
                        payload_type: *payload_type,
                    });
                    self.next_flow = (self.next_flow + 1) % self.flows;
                }
            }
            Schedule::Paced(streams) => {
                let elapsed = now.saturating_sub(self.started_nanoseconds);
                for (stream, bursts) in streams.iter().zip(&mut self.bursts) {
                    let due = (elapsed as f64 * stream.bursts_per_second / 1e9) as u64;
                    while *bursts < due && batch.len() + stream.packets_per_burst <= most {
                        let since = (*bursts as f64 * 1e9 / stream.bursts_per_second) as u64;
                        self.behind_nanoseconds =
                            self.behind_nanoseconds.max(elapsed.saturating_sub(since));
                        let flow = (*bursts % self.flows as u64) as usize;
                        for _ in 0..stream.packets_per_burst {
                            batch.push(Due {
                                flow,
                                payload_bytes: stream.payload_bytes,
                                payload_type: stream.payload_type,
                            });
                        }
                        *bursts += 1;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audio_and_video() -> Schedule {
        let audio = Stream {
            payload_bytes: 172,
            payload_type: 0,
            packets_per_burst: 1,
            bursts_per_second: 100.0,
        };
        let video = Stream {
            payload_bytes: 1172,
            payload_type: 96,
            packets_per_burst: 4,
            bursts_per_second: 60.0,
        };
        Schedule::Paced(vec![audio, video])
    }

    #[test]
    fn every_flow_has_its_turn_and_no_packet_is_left_out() {
        let mut pace = Pace::new(audio_and_video(), 2, 0);
        let mut of_flow = [[0; 2]; 2];
        for millisecond in 0..=1_000 {
            let mut batch = Vec::new();
            pace.fill(&mut batch, 64, 0, millisecond * 1_000_000);
            for due in batch {
                of_flow[due.flow][usize::from(due.payload_type > 0)] += 1;
            }
        }
        assert_eq!(of_flow, [[50, 120], [50, 120]]);
    }

    #[test]
    fn what_finds_no_room_in_a_batch_is_due_still() {
        let mut pace = Pace::new(audio_and_video(), 2, 0);
        let mut all = 0;
        for _ in 0..100 {
            let mut batch = Vec::new();
            pace.fill(&mut batch, 8, 0, 1_000_000_000);
            assert!(batch.len() <= 8);
            all += batch.len();
        }
        assert_eq!(all, 100 + 4 * 60);
        assert!(pace.behind_nanoseconds > 900_000_000);
    }

    #[test]
    fn a_window_is_filled_and_not_overfilled() {
        let mut pace = Pace::new(
            Schedule::Window {
                packets: 10,
                payload_bytes: 172,
                payload_type: 0,
            },
            4,
            0,
        );
        let mut batch = Vec::new();
        pace.fill(&mut batch, 64, 7, 0);
        assert_eq!(
            batch.iter().map(|due| due.flow).collect::<Vec<_>>(),
            [0, 1, 2]
        );
        batch.clear();
        pace.fill(&mut batch, 64, 10, 0);
        assert!(batch.is_empty());
    }
}
