//! The clients' media, sent as a schedule says and counted as it arrives.

use std::io;

use serde::{Deserialize, Serialize};
use turngate_batches::{monotonic_nanoseconds, BATCH, MAX_DATAGRAM};

use crate::arrivals::{Arrivals, Outcome, MIN_PAYLOAD, PACKET_HEAD};
use crate::clients::channel_of;
use crate::connect::{Clients, Task};
use crate::schedule::{Pace, Schedule};
use crate::stun;
use crate::wire::{Parcel, Wire};

const CHANNEL_HEAD: usize = 4;
/// Packets still on their way after that are lost.
const DRAIN_NANOSECONDS: u64 = 500_000_000;
/// While a window is open, packets that nothing has been heard of for so long make room for others.
const STALL_NANOSECONDS: u64 = 100_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    pub schedule: Schedule,
    pub seconds: f64,
    /// Tell for every client by which channels packets came.
    #[serde(default)]
    pub by_channel: bool,
    /// Refresh every allocation and its channel so often.
    #[serde(default)]
    pub refresh_every_seconds: Option<f64>,
}

#[derive(Serialize)]
pub struct Report {
    pub seconds: f64,
    pub delivered_per_second: f64,
    /// The longest that a packet waited in the generator after it was due.
    pub behind_milliseconds: f64,
    /// Of a window: the share of looks that found it full, so that the server was what one waited for.
    pub window_full: f64,
    pub refreshes: u64,
    pub refreshes_unanswered: u64,
    pub refreshes_refused: u64,
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// Refreshes spread evenly over the time between two of one client.
struct Upkeep {
    every_nanoseconds: f64,
    sent: u64,
    answered: u64,
    refused: u64,
}

pub fn run(
    traffic: &Traffic,
    phase: u8,
    clients: &mut Clients,
    wire: &mut dyn Wire,
) -> io::Result<Report> {
    let tail = [0; MAX_DATAGRAM];
    let mut heads = [[0; PACKET_HEAD]; BATCH];
    let mut batch = Vec::with_capacity(BATCH);
    let mut arrivals = Arrivals::new(phase, clients.count(), traffic.by_channel);
    let mut upkeep = Upkeep {
        every_nanoseconds: traffic.refresh_every_seconds.unwrap_or(f64::INFINITY) * 1e9,
        sent: 0,
        answered: 0,
        refused: 0,
    };
    let began = monotonic_nanoseconds();
    let end = began + (traffic.seconds * 1e9) as u64;
    let mut pace = Pace::new(traffic.schedule.clone(), clients.count(), began);
    let (mut looks, mut full) = (0u64, 0u64);
    let (mut written_off, mut last_heard, mut delivered_in_time) = (0, began, 0);
    let mut now = began;
    loop {
        if now < end {
            upkeep.send(now - began, clients, wire)?;
            let on_their_way = (arrivals.sent - arrivals.received).saturating_sub(written_off);
            batch.clear();
            pace.fill(&mut batch, BATCH, on_their_way, now);
            looks += 1;
            full += u64::from(batch.is_empty());
            let mut parcels = Vec::with_capacity(BATCH);
            for (due, head) in batch.iter().zip(&mut heads) {
                head[..2].copy_from_slice(&channel_of(due.flow).to_be_bytes());
                head[2..CHANNEL_HEAD].copy_from_slice(&(due.payload_bytes as u16).to_be_bytes());
                arrivals.write_head(due.flow, due.payload_type, now, &mut head[CHANNEL_HEAD..]);
                let rest = due
                    .payload_bytes
                    .saturating_sub(MIN_PAYLOAD)
                    .next_multiple_of(4);
                parcels.push(Parcel {
                    client: due.flow,
                    head,
                    tail: &tail[..rest],
                });
            }
            let mut taken = 0;
            while taken < parcels.len() {
                taken += wire.send(&parcels[taken..])?;
                // A server that takes nothing is to be heard, or both wait for each other.
                if taken < parcels.len() {
                    hear(wire, &mut arrivals, &mut upkeep)?;
                }
            }
        }
        let heard = hear(wire, &mut arrivals, &mut upkeep)?;
        now = monotonic_nanoseconds();
        if heard > 0 {
            last_heard = now;
        } else {
            if batch.is_empty() {
                std::thread::yield_now();
            }
            if now - last_heard > STALL_NANOSECONDS {
                written_off = arrivals.sent - arrivals.received;
                last_heard = now;
            }
        }
        if now < end {
            delivered_in_time = arrivals.received;
        } else if arrivals.sent == arrivals.received || now - end > DRAIN_NANOSECONDS {
            break;
        }
    }
    Ok(Report {
        seconds: traffic.seconds,
        delivered_per_second: delivered_in_time as f64 / traffic.seconds,
        behind_milliseconds: pace.behind_nanoseconds as f64 / 1e6,
        window_full: full as f64 / looks.max(1) as f64,
        refreshes: upkeep.sent,
        refreshes_unanswered: upkeep.sent - upkeep.answered,
        refreshes_refused: upkeep.refused,
        outcome: arrivals.outcome(),
    })
}

fn hear(wire: &mut dyn Wire, arrivals: &mut Arrivals, upkeep: &mut Upkeep) -> io::Result<usize> {
    let now = monotonic_nanoseconds();
    wire.receive(&mut |arrived| match arrived.message {
        [high @ 0x40..=0x7F, low, _, _, payload @ ..] => {
            let channel = u16::from_be_bytes([*high, *low]);
            arrivals.arrived(
                arrived.client,
                channel,
                payload,
                arrived.at_nanoseconds,
                now,
            );
        }
        message => {
            if let Some(answer) = stun::answer(message) {
                upkeep.answered += 1;
                upkeep.refused += u64::from(answer.code != 0);
            }
        }
    })
}

impl Upkeep {
    fn send(&mut self, elapsed: u64, clients: &mut Clients, wire: &mut dyn Wire) -> io::Result<()> {
        let count = clients.count() as u64;
        // Two requests a turn; nobody needs one at the very beginning.
        let due = (elapsed as f64 * count as f64 / self.every_nanoseconds) as u64;
        if self.sent / 2 < due {
            let client = (self.sent / 2 % count) as usize;
            for task in [Task::Refresh, Task::Bind] {
                let (_, request) = clients.request(task, client)?;
                self.sent += wire.send(&[Parcel {
                    client,
                    head: &request,
                    tail: &[],
                }])? as u64;
            }
        }
        Ok(())
    }
}
