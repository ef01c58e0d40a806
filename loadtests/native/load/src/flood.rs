//! Requests that nobody means: from many networks, at a pace or as fast as the machine makes them.

use std::io;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use turngate_batches::BATCH;

use crate::clients::flooding_address;
use crate::stun::{self, Credentials};
use crate::udp_wire::UdpWire;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flood {
    pub networks: usize,
    /// As fast as it goes if not said.
    #[serde(default)]
    pub packets_per_second: Option<f64>,
    pub seconds: f64,
    pub kind: Kind,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An Allocate as it begins every session.
    Bare,
    /// One that claims a name and is sealed with a key that is not its.
    Forged,
    /// What is neither STUN nor ChannelData.
    Noise,
    /// ChannelData of clients that never bound a channel.
    Media,
}

#[derive(Serialize)]
pub struct Flooded {
    pub sent: u64,
    pub sent_per_second: f64,
    pub answered: u64,
}

pub fn run(flood: &Flood, wire: &mut UdpWire) -> io::Result<Flooded> {
    let message = message(flood.kind);
    let began = Instant::now();
    let (mut sent, mut answered) = (0, 0);
    let end = Duration::from_secs_f64(flood.seconds);
    while began.elapsed() < end {
        let due = flood.packets_per_second.map_or(u64::MAX, |rate| {
            (began.elapsed().as_secs_f64() * rate) as u64
        });
        let room = due.saturating_sub(sent).min(BATCH as u64);
        let batch: Vec<(Ipv4Addr, &[u8])> = (sent..sent + room)
            .map(|one| {
                let network = (one % flood.networks as u64) as usize;
                let host = (one / flood.networks as u64 % 250 + 1) as u8;
                (flooding_address(network, host), message.as_slice())
            })
            .collect();
        if batch.is_empty() {
            std::thread::yield_now();
        } else {
            sent += wire.send_from(&batch)? as u64;
        }
        wire.receive_anywhere(&mut |_, _| answered += 1)?;
    }
    Ok(Flooded {
        sent,
        sent_per_second: sent as f64 / began.elapsed().as_secs_f64(),
        answered,
    })
}

fn message(kind: Kind) -> Vec<u8> {
    match kind {
        Kind::Bare => stun::allocate([9; 12], None),
        Kind::Forged => {
            let mut credentials =
                Credentials::shared(b"not the secret", "9999999999:pair0:0".into());
            credentials.challenged(
                b"turngate".to_vec(),
                b"obMatJos2gAAAnot a nonce of this server".to_vec(),
            );
            stun::allocate([9; 12], Some(&credentials))
        }
        Kind::Noise => vec![0xFF; 172],
        Kind::Media => [&[0x40, 0x00, 0x00, 0xAC][..], &[0x80; 172]].concat(),
    }
}
