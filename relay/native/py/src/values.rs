//! The values of `relay/vocabulary.py` on their way in and out.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use turngate_rows::{
    Counters, DropReason, EgressBounds, FiveTuple, Form, Leg, LimiterSettings, PuntBounds, Route,
    Transport,
};
use turngate_sockets::{interface_name, interface_number};

pub(crate) type AddressTuple = (String, u16);
pub(crate) type FiveTupleTuple = (&'static str, AddressTuple, AddressTuple);
/// Packets, bytes, drops by reason, monotonic seconds of the last packet.
pub(crate) type CountersValue = (u64, u64, Vec<(&'static str, u64)>, Option<f64>);

/// A channel number, or an address.
#[derive(IntoPyObject)]
pub(crate) enum FormTuple {
    Channel(u16),
    Peer(AddressTuple),
}

pub(crate) type LegCounters = ((FiveTupleTuple, FormTuple), CountersValue);

fn wrong(text: &str) -> PyErr {
    PyValueError::new_err(format!("no address: {text:?}"))
}

/// The numeric text that the socket API prints, IPv6 with the name or number of its scope.
pub(crate) fn parse((text, port): &AddressTuple) -> PyResult<SocketAddr> {
    let Some((ip, scope)) = text.split_once('%') else {
        let ip: IpAddr = text.parse().map_err(|_| wrong(text))?;
        return Ok(SocketAddr::new(ip, *port));
    };
    let ip: Ipv6Addr = ip.parse().map_err(|_| wrong(text))?;
    let scope = scope.parse().unwrap_or_else(|_| interface_number(scope));
    Ok(SocketAddrV6::new(ip, *port, 0, scope).into())
}

pub(crate) fn address_text(address: SocketAddr) -> AddressTuple {
    let SocketAddr::V6(v6) = address else {
        return (address.ip().to_string(), address.port());
    };
    let ip = match v6.ip().segments() {
        // The socket API writes these as IPv4-compatible addresses.
        [0, 0, 0, 0, 0, 0, 1..=u16::MAX, _] => {
            let [.., a, b, c, d] = v6.ip().octets();
            format!("::{a}.{b}.{c}.{d}")
        }
        _ => v6.ip().to_string(),
    };
    match v6.scope_id() {
        0 => (ip, v6.port()),
        scope => {
            let name = interface_name(scope).unwrap_or_else(|| scope.to_string());
            (format!("{ip}%{name}"), v6.port())
        }
    }
}

#[derive(FromPyObject)]
pub(crate) struct FiveTupleValue(String, AddressTuple, AddressTuple);

impl FiveTupleValue {
    pub(crate) fn value(&self) -> PyResult<FiveTuple> {
        let transport = match self.0.as_str() {
            "udp" => Transport::Udp,
            "tcp" => Transport::Tcp,
            "tls" => Transport::Tls,
            other => return Err(PyValueError::new_err(format!("no transport: {other:?}"))),
        };
        Ok(FiveTuple {
            transport,
            client: parse(&self.1)?,
            server: parse(&self.2)?,
        })
    }
}

pub(crate) fn five_tuple_of(five_tuple: FiveTuple) -> FiveTupleTuple {
    let transport = match five_tuple.transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    };
    (
        transport,
        address_text(five_tuple.client),
        address_text(five_tuple.server),
    )
}

#[derive(FromPyObject)]
pub(crate) enum FormValue {
    Channel(u16),
    Peer(AddressTuple),
}

#[derive(FromPyObject)]
pub(crate) struct LegValue(FiveTupleValue, FormValue);

impl LegValue {
    pub(crate) fn value(&self) -> PyResult<Leg> {
        let form = match &self.1 {
            FormValue::Channel(channel) => Form::Channel(*channel),
            FormValue::Peer(peer) => Form::Peer(parse(peer)?),
        };
        Ok(Leg {
            five_tuple: self.0.value()?,
            form,
        })
    }
}

/// `relay.vocabulary.Route`.
#[derive(FromPyObject)]
pub(crate) struct RouteValue {
    source: LegValue,
    target: LegValue,
    session_id: String,
    payload_types: Option<std::collections::HashSet<u8>>,
    audio_payload_types: std::collections::HashSet<u8>,
    dtls_budget_bytes: u64,
    limiter_ids: Vec<String>,
}

impl RouteValue {
    pub(crate) fn value(self) -> PyResult<Route> {
        Ok(Route {
            source: self.source.value()?,
            target: self.target.value()?,
            session_id: self.session_id,
            payload_types: self.payload_types.map(|types| types.into_iter().collect()),
            audio_payload_types: self.audio_payload_types.into_iter().collect(),
            dtls_budget_bytes: self.dtls_budget_bytes,
            limiter_ids: self.limiter_ids,
        })
    }
}

/// `relay.vocabulary.Limiter`.
#[derive(FromPyObject)]
pub(crate) struct LimiterValue {
    bits_per_second: u64,
    burst_bytes: u64,
    audio_reserve_bytes: u64,
}

impl From<LimiterValue> for LimiterSettings {
    fn from(value: LimiterValue) -> Self {
        Self {
            bits_per_second: value.bits_per_second,
            burst_bytes: value.burst_bytes,
            audio_reserve_bytes: value.audio_reserve_bytes,
        }
    }
}

/// `relay.planes.native_plane.PuntBounds`.
#[derive(FromPyObject)]
pub(crate) struct PuntBoundsValue {
    waiting: usize,
    waiting_bytes: usize,
    strangers_waiting: usize,
    stream_strangers_waiting: usize,
    stranger_bytes: usize,
    owned: (f64, f64),
    strangers: (f64, f64),
    stream_strangers: (f64, f64),
    network: (f64, f64),
}

impl From<PuntBoundsValue> for PuntBounds {
    fn from(value: PuntBoundsValue) -> Self {
        Self {
            waiting: value.waiting,
            waiting_bytes: value.waiting_bytes,
            strangers_waiting: value.strangers_waiting,
            stream_strangers_waiting: value.stream_strangers_waiting,
            stranger_bytes: value.stranger_bytes,
            owned: value.owned,
            strangers: value.strangers,
            stream_strangers: value.stream_strangers,
            network: value.network,
        }
    }
}

/// `relay.planes.native_plane.EgressBounds`.
#[derive(FromPyObject)]
pub(crate) struct EgressBoundsValue {
    messages: usize,
    bytes: usize,
    bytes_of_client: usize,
    bytes_of_message: usize,
}

impl From<EgressBoundsValue> for EgressBounds {
    fn from(value: EgressBoundsValue) -> Self {
        Self {
            messages: value.messages,
            bytes: value.bytes,
            bytes_of_client: value.bytes_of_client,
            bytes_of_message: value.bytes_of_message,
        }
    }
}

pub(crate) fn drops_of(counters: Counters) -> CountersValue {
    let drops = DropReason::ALL
        .into_iter()
        .zip(counters.drops)
        .filter(|(_, count)| *count > 0);
    let drops = drops
        .map(|(reason, count)| (reason.name(), count))
        .collect();
    let last_seen = (counters.last_seen > 0).then_some(counters.last_seen as f64 / 1e9);
    (counters.packets, counters.bytes, drops, last_seen)
}

pub(crate) fn leg_counters((leg, counters): (Leg, Counters)) -> LegCounters {
    let form = match leg.form {
        Form::Channel(channel) => FormTuple::Channel(channel),
        Form::Peer(peer) => FormTuple::Peer(address_text(peer)),
    };
    ((five_tuple_of(leg.five_tuple), form), drops_of(counters))
}
