//! The words of `relay/vocabulary.py`.

use std::net::SocketAddr;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
}

/// A client and the listener it came to (RFC 8656 section 3.2).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FiveTuple {
    pub transport: Transport,
    pub client: SocketAddr,
    pub server: SocketAddr,
}

/// A channel number, or the peer's relayed address where data travels in indications.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Form {
    Channel(u16),
    Peer(SocketAddr),
}

/// One end of a route.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Leg {
    pub five_tuple: FiveTuple,
    pub form: Form,
}

/// Why a packet that had a row was not forwarded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DropReason {
    Class,
    PayloadType,
    DtlsBudget,
    Limiter,
    SendFailed,
}

impl DropReason {
    pub const ALL: [Self; 5] = [
        Self::Class,
        Self::PayloadType,
        Self::DtlsBudget,
        Self::Limiter,
        Self::SendFailed,
    ];

    /// The value of its Python twin.
    pub fn name(self) -> &'static str {
        match self {
            Self::Class => "class",
            Self::PayloadType => "payload_type",
            Self::DtlsBudget => "dtls_budget",
            Self::Limiter => "limiter",
            Self::SendFailed => "send_failed",
        }
    }
}

/// Packets that arrive by `source` leave by `target`, if they are of a class this route carries.
#[derive(Clone, Debug)]
pub struct Route {
    pub source: Leg,
    pub target: Leg,
    pub session_id: String,
    /// None: everything passes.
    pub payload_types: Option<Vec<u8>>,
    pub audio_payload_types: Vec<u8>,
    pub dtls_budget_bytes: u64,
    pub limiter_ids: Vec<String>,
}

/// A token bucket over payload bytes, whose last bytes only audio and control traffic may use.
#[derive(Clone, Copy, Debug)]
pub struct LimiterSettings {
    pub bits_per_second: u64,
    pub burst_bytes: u64,
    pub audio_reserve_bytes: u64,
}
