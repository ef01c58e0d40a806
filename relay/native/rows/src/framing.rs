//! ChannelData and Data indications (RFC 8656 sections 11.4 to 11.6 and 12.4), and what a STUN request looks like.

use std::net::{IpAddr, SocketAddr};

pub(crate) const MAGIC_COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const COOKIE_PORT: u16 = 0x2112;
const DATA_INDICATION: [u8; 2] = [0x00, 0x17];
const XOR_PEER_ADDRESS: [u8; 2] = [0x00, 0x12];
const DATA: [u8; 2] = [0x00, 0x13];
pub(crate) const CHANNEL_HEAD: usize = 4;

/// The channel number a datagram names, if it is one of ChannelData, those of RFC 5766 included.
pub fn channel_of(datagram: &[u8]) -> Option<u16> {
    match datagram {
        [high @ 0x40..=0x7F, low, _, _, ..] => Some(u16::from_be_bytes([*high, *low])),
        _ => None,
    }
}

/// A datagram of ChannelData.
pub struct ChannelData<'a> {
    /// Without padding; None when the datagram is shorter than it says.
    pub payload: Option<&'a [u8]>,
}

impl<'a> ChannelData<'a> {
    pub fn of(datagram: &'a [u8]) -> Self {
        let end = CHANNEL_HEAD + u16_at(datagram, 2);
        Self {
            payload: datagram.get(CHANNEL_HEAD..end),
        }
    }
}

/// Nothing else of a stranger's could be answered.
pub fn is_stun_request(datagram: &[u8]) -> bool {
    match datagram {
        [first @ 0..=3, second, _, _, cookie @ ..] => {
            first & 1 == 0
                && second & 0x10 == 0
                && datagram.len() >= 20
                && cookie.starts_with(&MAGIC_COOKIE)
        }
        _ => false,
    }
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => usize::from(u16::from_be_bytes([high, low])),
        _ => 0,
    }
}

pub(crate) fn channel_data(channel: u16, payload: &[u8]) -> Vec<u8> {
    let mut framed = Vec::with_capacity(CHANNEL_HEAD + payload.len());
    framed.extend(channel.to_be_bytes());
    framed.extend((payload.len() as u16).to_be_bytes());
    framed.extend(payload);
    framed
}

/// The part of a row's Data indications that never changes: cookie, transaction id, XOR-PEER-ADDRESS.
pub(crate) fn indication_head(peer: SocketAddr, transaction_id: [u8; 12]) -> Vec<u8> {
    let mut head = Vec::with_capacity(40);
    head.extend(MAGIC_COOKIE);
    head.extend(transaction_id);
    let mask = [MAGIC_COOKIE.as_slice(), transaction_id.as_slice()].concat();
    let (family, ip) = match peer.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    head.extend(XOR_PEER_ADDRESS);
    head.extend((4 + ip.len() as u16).to_be_bytes());
    head.extend([0, family]);
    head.extend((peer.port() ^ COOKIE_PORT).to_be_bytes());
    head.extend(ip.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    head
}

/// The longest payload of an indication with such a head: its length field counts 16 bits, in multiples of 4.
pub(crate) fn longest_in_indication(head: &[u8]) -> usize {
    0xFFFC - (head.len() - 16) - 4
}

pub(crate) fn indication(head: &[u8], payload: &[u8]) -> Vec<u8> {
    let padding = payload.len().wrapping_neg() & 3;
    let body = head.len() - 16 + 4 + payload.len() + padding;
    let mut framed = Vec::with_capacity(20 + body);
    framed.extend(DATA_INDICATION);
    framed.extend((body as u16).to_be_bytes());
    framed.extend(head);
    framed.extend(DATA);
    framed.extend((payload.len() as u16).to_be_bytes());
    framed.extend(payload);
    framed.resize(framed.len() + padding, 0);
    framed
}
