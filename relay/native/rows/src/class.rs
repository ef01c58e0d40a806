//! What a payload is (RFC 7983), and whether a route carries it.

use crate::framing::{u16_at, MAGIC_COOKIE};
use crate::vocabulary::DropReason;

const MIN_RTP: usize = 12;
const MIN_RTCP: usize = 8;
const MIN_DTLS: usize = 13;
/// RFC 8489 section 6.1: what fits any path.
const MAX_STUN: usize = 1280;
const LAST_DTLS_TYPE: u8 = 26;

/// The payload types that were negotiated.
#[derive(Clone, Copy, Debug)]
pub struct PayloadTypes {
    allowed: u128,
    audio: u128,
}

/// What passes the class check.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// May not use a limiter's reserve.
    Bulk,
    /// Audio and what keeps a call up.
    Urgent,
    /// Urgent, and charged to the session's budget.
    Dtls,
}

impl PayloadTypes {
    pub fn new(allowed: &[u8], audio: &[u8]) -> Self {
        let bits = |types: &[u8]| {
            types
                .iter()
                .filter(|one| **one < 128)
                .fold(0, |bits, one| bits | 1 << one)
        };
        Self {
            allowed: bits(allowed),
            audio: bits(audio),
        }
    }

    pub(crate) fn class_of(&self, payload: &[u8]) -> Result<Class, DropReason> {
        match payload.first() {
            Some(128..=191) => self.class_of_rtp(payload),
            Some(20..=63) if is_dtls(payload) => Ok(Class::Dtls),
            Some(0..=3) if is_stun(payload) => Ok(Class::Urgent),
            _ => Err(DropReason::Class),
        }
    }

    /// The second byte tells RTCP from RTP (RFC 5761 section 4).
    fn class_of_rtp(&self, payload: &[u8]) -> Result<Class, DropReason> {
        let second = payload.get(1).copied().unwrap_or(0);
        if (192..224).contains(&second) && payload.len() >= MIN_RTCP {
            return Ok(Class::Urgent);
        }
        let bit = 1u128 << (second & 0x7F);
        if payload.len() < MIN_RTP {
            return Err(DropReason::Class);
        }
        if self.allowed & bit == 0 {
            return Err(DropReason::PayloadType);
        }
        Ok(if self.audio & bit == 0 {
            Class::Bulk
        } else {
            Class::Urgent
        })
    }
}

/// Whether it begins with a record (RFC 6347 section 4.1, RFC 9147 section 4) that fits in it.
fn is_dtls(payload: &[u8]) -> bool {
    if payload.len() < MIN_DTLS {
        return false;
    }
    let first = payload.first().copied().unwrap_or(0);
    if first <= LAST_DTLS_TYPE {
        return matches!(payload.get(1..3), Some([0xFE, 0xFD | 0xFF]))
            && MIN_DTLS + u16_at(payload, 11) <= payload.len();
    }
    // The short header of 1.3 as everybody writes it: no connection id, one or two bytes of number, a length.
    let head = if first & 0x08 == 0 { 2 } else { 3 };
    first & 0xF4 == 0x24 && head + 2 + u16_at(payload, head) <= payload.len()
}

fn is_stun(payload: &[u8]) -> bool {
    (20..=MAX_STUN).contains(&payload.len())
        && payload.get(4..8) == Some(&MAGIC_COOKIE)
        && u16_at(payload, 2) == payload.len() - 20
        && payload.len() & 3 == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::framing::{channel_of, is_stun_request, ChannelData};
    use proptest::prelude::*;

    /// The portable plane is tested with the same file.
    const CORPUS: &str = include_str!("../../../../tests/wire/planes.txt");

    /// Hex in pieces between points, each possibly repeated.
    fn octets(text: &str) -> Vec<u8> {
        let piece = |piece: &str| {
            let (digits, times) = piece.split_once('x').unwrap_or((piece, "1"));
            let octet = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
            let once: Vec<u8> = (0..digits.len()).step_by(2).map(octet).collect();
            once.repeat(times.parse().unwrap())
        };
        text.trim_matches('-').split('.').flat_map(piece).collect()
    }

    fn lines(kind: &str) -> Vec<Vec<&str>> {
        let lines = CORPUS
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>());
        let lines: Vec<_> = lines.filter(|line| line[0] == kind).collect();
        assert!(lines.len() > 10);
        lines
    }

    #[test]
    fn a_payload_of_the_shared_corpus_is_of_its_class() {
        for line in lines("payload") {
            let class = PayloadTypes::new(&[0, 96, 111], &[0, 111]).class_of(&octets(line[2]));
            let said = match class {
                Ok(Class::Bulk) => "bulk",
                Ok(Class::Urgent) => "urgent",
                Ok(Class::Dtls) => "dtls",
                Err(DropReason::Class) => "class",
                Err(DropReason::PayloadType) => "payload_type",
                Err(_) => "another reason",
            };
            assert_eq!(said, line[3], "{}", line[1]);
        }
    }

    #[test]
    fn a_datagram_of_the_shared_corpus_is_what_its_head_says() {
        for line in lines("datagram") {
            let datagram = octets(line[2]);
            let payload = ChannelData::of(&datagram).payload.map(<[u8]>::to_vec);
            match (channel_of(&datagram), line[3]) {
                (None, said) => {
                    let asks = is_stun_request(&datagram);
                    assert_eq!(if asks { "request" } else { "none" }, said, "{}", line[1]);
                }
                (Some(_), "cut") => assert_eq!(payload, None, "{}", line[1]),
                (Some(channel), said) => {
                    assert_eq!(format!("{channel:04x}"), said, "{}", line[1]);
                    assert_eq!(payload, Some(octets(line[4])), "{}", line[1]);
                }
            }
        }
    }

    proptest! {
        #[test]
        fn any_payload_has_a_class_or_a_reason(payload: Vec<u8>, allowed: Vec<u8>, audio: Vec<u8>) {
            let _ = PayloadTypes::new(&allowed, &audio).class_of(&payload);
        }

        #[test]
        fn rtp_passes_exactly_if_its_type_was_negotiated(payload_type in 0u8..128, marker: bool, allowed: Vec<u8>) {
            let second = payload_type | u8::from(marker) << 7;
            prop_assume!(!(192..224).contains(&second));
            let mut packet = vec![0x80, second];
            packet.resize(40, 0);
            let class = PayloadTypes::new(&allowed, &[]).class_of(&packet);
            let expected = if allowed.contains(&payload_type) { Ok(Class::Bulk) } else { Err(DropReason::PayloadType) };
            prop_assert_eq!(class, expected);
        }
    }
}
