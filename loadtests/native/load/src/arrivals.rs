//! What became of the packets: delivered, lost, out of order, at the wrong client, and how late.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::clients::partner_of;

/// ChannelData's head, RTP's, a sequence number and the time of sending.
pub const PACKET_HEAD: usize = 4 + MIN_PAYLOAD;
/// RTP's head (12), the sequence number (4), CLOCK_MONOTONIC in nanoseconds (8).
pub const MIN_PAYLOAD: usize = 24;
const MAX_LATENCY_NANOSECONDS: u64 = 60_000_000_000;

#[derive(Default, Clone, Copy)]
struct Flow {
    sent: u32,
    received: u32,
    /// One more than the highest sequence number that arrived.
    next: u32,
}

/// A flow is what one client sends to its partner; it has the client's number.
pub struct Arrivals {
    phase: u8,
    flows: Vec<Flow>,
    latency: Histogram<u64>,
    reordered: u64,
    misdelivered: u64,
    by_channel: Option<BTreeMap<(usize, u16), OfChannel>>,
    pub sent: u64,
    pub received: u64,
}

/// What arrived at one client by one channel number.
#[derive(Serialize, Clone, Copy)]
pub struct OfChannel {
    pub packets: u64,
    pub first_sequence: u32,
    pub last_sequence: u32,
    /// CLOCK_REALTIME.
    pub last_nanoseconds: u64,
}

#[derive(Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

#[derive(Serialize)]
pub struct Outcome {
    pub sent: u64,
    pub delivered: u64,
    pub lost: u64,
    pub reordered: u64,
    /// At a client that the packet was not for, or more often than sent.
    pub misdelivered: u64,
    pub latency_microseconds: Latency,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub channels: Vec<(usize, u16, OfChannel)>,
}

impl Arrivals {
    /// `phase` tells this run's packets from those of the runs before it.
    pub fn new(phase: u8, flows: usize, by_channel: bool) -> Self {
        Self {
            phase,
            flows: vec![Flow::default(); flows],
            latency: Histogram::new_with_max(MAX_LATENCY_NANOSECONDS, 3)
                .expect("bounds that a histogram can have"),
            reordered: 0,
            misdelivered: 0,
            by_channel: by_channel.then(BTreeMap::new),
            sent: 0,
            received: 0,
        }
    }

    /// The head of the next packet of this flow, but its channel header.
    pub fn write_head(&mut self, flow: usize, payload_type: u8, now: u64, head: &mut [u8]) {
        let sequence = self.flows[flow].sent;
        head[0] = 0x80;
        head[1] = payload_type;
        head[2..4].copy_from_slice(&(sequence as u16).to_be_bytes());
        head[4..8].copy_from_slice(&(sequence.wrapping_mul(160)).to_be_bytes());
        head[8..12].copy_from_slice(&(u32::from(self.phase) << 24 | flow as u32).to_be_bytes());
        head[12..16].copy_from_slice(&sequence.to_be_bytes());
        head[16..24].copy_from_slice(&now.to_be_bytes());
        self.flows[flow].sent += 1;
        self.sent += 1;
    }

    pub fn arrived(
        &mut self,
        client: usize,
        channel: u16,
        payload: &[u8],
        at_nanoseconds: u64,
        now: u64,
    ) {
        let Some(head) = payload.first_chunk::<MIN_PAYLOAD>() else {
            self.misdelivered += 1;
            return;
        };
        let source = u32::from_be_bytes([head[8], head[9], head[10], head[11]]);
        if source >> 24 != u32::from(self.phase) {
            return;
        }
        let from = (source & 0x00FF_FFFF) as usize;
        let sequence = u32::from_be_bytes([head[12], head[13], head[14], head[15]]);
        let sent_at = u64::from_be_bytes([
            head[16], head[17], head[18], head[19], head[20], head[21], head[22], head[23],
        ]);
        let Some(flow) = self.flows.get_mut(from).filter(|flow| sequence < flow.sent) else {
            self.misdelivered += 1;
            return;
        };
        if client != partner_of(from) || flow.received == flow.sent {
            self.misdelivered += 1;
            return;
        }
        flow.received += 1;
        self.received += 1;
        if sequence < flow.next {
            self.reordered += 1;
        } else {
            flow.next = sequence + 1;
        }
        self.latency.saturating_record(now.saturating_sub(sent_at));
        if let Some(by_channel) = &mut self.by_channel {
            let seen = by_channel.entry((client, channel)).or_insert(OfChannel {
                packets: 0,
                first_sequence: sequence,
                last_sequence: sequence,
                last_nanoseconds: at_nanoseconds,
            });
            seen.packets += 1;
            seen.last_sequence = seen.last_sequence.max(sequence);
            seen.last_nanoseconds = seen.last_nanoseconds.max(at_nanoseconds);
        }
    }

    pub fn outcome(self) -> Outcome {
        let at = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1_000.0;
        Outcome {
            sent: self.sent,
            delivered: self.received,
            lost: self.sent - self.received,
            reordered: self.reordered,
            misdelivered: self.misdelivered,
            latency_microseconds: Latency {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: self.latency.max() as f64 / 1_000.0,
            },
            channels: self
                .by_channel
                .unwrap_or_default()
                .into_iter()
                .map(|((client, channel), seen)| (client, channel, seen))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(arrivals: &mut Arrivals, flow: usize) -> [u8; MIN_PAYLOAD] {
        let mut head = [0; MIN_PAYLOAD];
        arrivals.write_head(flow, 0, 1_000, &mut head);
        head
    }

    #[test]
    fn lost_late_and_strayed_packets_are_told_apart() {
        let mut arrivals = Arrivals::new(1, 4, false);
        let packets: Vec<_> = (0..5).map(|_| packet(&mut arrivals, 2)).collect();
        for (client, at) in [(3, 0), (3, 2), (3, 1), (1, 3)] {
            arrivals.arrived(client, 0x4000, &packets[at], 0, 3_000);
        }
        let outcome = arrivals.outcome();
        assert_eq!((outcome.sent, outcome.delivered, outcome.lost), (5, 3, 2));
        assert_eq!((outcome.reordered, outcome.misdelivered), (1, 1));
        assert!((outcome.latency_microseconds.p50 - 2.0).abs() < 0.1);
    }

    #[test]
    fn packets_of_the_phase_before_count_for_nothing() {
        let mut before = Arrivals::new(1, 2, false);
        let stale = packet(&mut before, 0);
        let mut arrivals = Arrivals::new(2, 2, false);
        packet(&mut arrivals, 0);
        arrivals.arrived(1, 0x4000, &stale, 0, 3_000);
        let outcome = arrivals.outcome();
        assert_eq!((outcome.delivered, outcome.misdelivered), (0, 0));
    }

    #[test]
    fn of_a_channel_the_last_sequence_and_the_last_time_are_kept() {
        let mut arrivals = Arrivals::new(1, 2, true);
        for (channel, at) in [(0x4000, 10), (0x4000, 20), (0x4001, 30)] {
            let packet = packet(&mut arrivals, 0);
            arrivals.arrived(1, channel, &packet, at, 3_000);
        }
        let channels = arrivals.outcome().channels;
        let told: Vec<_> = channels
            .iter()
            .map(|(_, channel, seen)| {
                (
                    *channel,
                    seen.packets,
                    seen.last_sequence,
                    seen.last_nanoseconds,
                )
            })
            .collect();
        assert_eq!(told, [(0x4000, 2, 1, 20), (0x4001, 1, 2, 30)]);
    }
}
