//! The messages of a TURN client: made (RFC 8489 section 5, RFC 8656 section 17), and what servers answer.

use std::net::{Ipv4Addr, SocketAddrV4};

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use sha1::Sha1;

const MAGIC_COOKIE: u32 = 0x2112_A442;
const HEAD: usize = 20;
const INTEGRITY_BYTES: usize = 24;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const CHANNEL_NUMBER: u16 = 0x000C;
const LIFETIME: u16 = 0x000D;
const XOR_PEER_ADDRESS: u16 = 0x0012;
const REALM: u16 = 0x0014;
const NONCE: u16 = 0x0015;
const XOR_RELAYED_ADDRESS: u16 = 0x0016;
const REQUESTED_TRANSPORT: u16 = 0x0019;
const UDP: [u8; 4] = [17, 0, 0, 0];

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Method {
    Allocate = 0x0003,
    Refresh = 0x0004,
    ChannelBind = 0x0009,
}

pub type TransactionId = [u8; 12];

/// What a client was told and knows, to seal its requests with.
#[derive(Clone, Default)]
pub struct Credentials {
    pub username: String,
    pub password: String,
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub key: [u8; 16],
}

impl Credentials {
    /// As the TURN REST convention has them: the password is the secret's HMAC-SHA1 of the name.
    pub fn shared(secret: &[u8], username: String) -> Self {
        use base64::Engine;
        let password = base64::engine::general_purpose::STANDARD
            .encode(hmac_sha1(secret, username.as_bytes()));
        Self {
            username,
            password,
            ..Self::default()
        }
    }

    pub fn challenged(&mut self, realm: Vec<u8>, nonce: Vec<u8>) {
        let mut hash = Md5::new();
        hash.update(self.username.as_bytes());
        hash.update(b":");
        hash.update(&realm);
        hash.update(b":");
        hash.update(self.password.as_bytes());
        self.key = hash.finalize().into();
        self.realm = realm;
        self.nonce = nonce;
    }
}

pub fn allocate(id: TransactionId, credentials: Option<&Credentials>) -> Vec<u8> {
    let lifetime = 600u32.to_be_bytes();
    let mut attributes: Vec<(u16, &[u8])> = vec![(REQUESTED_TRANSPORT, &UDP)];
    if credentials.is_some() {
        attributes.push((LIFETIME, &lifetime));
    }
    request(Method::Allocate, id, &attributes, credentials)
}

pub fn refresh(id: TransactionId, lifetime_seconds: u32, credentials: &Credentials) -> Vec<u8> {
    request(
        Method::Refresh,
        id,
        &[(LIFETIME, &lifetime_seconds.to_be_bytes())],
        Some(credentials),
    )
}

pub fn channel_bind(
    id: TransactionId,
    channel: u16,
    peer: SocketAddrV4,
    credentials: &Credentials,
) -> Vec<u8> {
    let [high, low] = channel.to_be_bytes();
    let attributes: [(u16, &[u8]); 2] = [
        (CHANNEL_NUMBER, &[high, low, 0, 0]),
        (XOR_PEER_ADDRESS, &xored(peer)),
    ];
    request(Method::ChannelBind, id, &attributes, Some(credentials))
}

fn request(
    method: Method,
    id: TransactionId,
    attributes: &[(u16, &[u8])],
    credentials: Option<&Credentials>,
) -> Vec<u8> {
    let mut message = Vec::with_capacity(256);
    message.extend((method as u16).to_be_bytes());
    message.extend([0, 0]);
    message.extend(MAGIC_COOKIE.to_be_bytes());
    message.extend(id);
    for (kind, value) in attributes {
        append(&mut message, *kind, value);
    }
    if let Some(credentials) = credentials {
        append(&mut message, USERNAME, credentials.username.as_bytes());
        append(&mut message, REALM, &credentials.realm);
        append(&mut message, NONCE, &credentials.nonce);
        // What is sealed has the length with the seal.
        set_length(&mut message, INTEGRITY_BYTES);
        let seal = hmac_sha1(&credentials.key, &message);
        append(&mut message, MESSAGE_INTEGRITY, &seal);
    }
    set_length(&mut message, 0);
    message
}

fn append(message: &mut Vec<u8>, kind: u16, value: &[u8]) {
    message.extend(kind.to_be_bytes());
    message.extend((value.len() as u16).to_be_bytes());
    message.extend(value);
    message.resize(message.len().next_multiple_of(4), 0);
}

fn set_length(message: &mut [u8], more: usize) {
    let length = (message.len() - HEAD + more) as u16;
    message[2..4].copy_from_slice(&length.to_be_bytes());
}

fn hmac_sha1(key: &[u8], message: &[u8]) -> [u8; 20] {
    let mut mac = Hmac::<Sha1>::new_from_slice(key).expect("an HMAC's key may have any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}

fn xored(address: SocketAddrV4) -> [u8; 8] {
    let port = address.port() ^ (MAGIC_COOKIE >> 16) as u16;
    let ip = u32::from(*address.ip()) ^ MAGIC_COOKIE;
    let mut value = [0, 1, 0, 0, 0, 0, 0, 0];
    value[2..4].copy_from_slice(&port.to_be_bytes());
    value[4..].copy_from_slice(&ip.to_be_bytes());
    value
}

/// What a server says to a request.
#[derive(Default, Debug)]
pub struct Answer {
    pub id: TransactionId,
    /// Of an error; 0 of a success.
    pub code: u16,
    pub realm: Vec<u8>,
    pub nonce: Vec<u8>,
    pub relayed: Option<SocketAddrV4>,
}

/// None for what is no answer to a request.
pub fn answer(message: &[u8]) -> Option<Answer> {
    let class = u16::from_be_bytes(message.get(0..2)?.try_into().ok()?) & 0x0110;
    if class & 0x0100 == 0 || message.get(4..8)? != MAGIC_COOKIE.to_be_bytes() {
        return None;
    }
    let mut answer = Answer {
        id: message.get(8..HEAD)?.try_into().ok()?,
        ..Answer::default()
    };
    let mut rest = message.get(HEAD..)?;
    while let Some((head, after)) = rest.split_at_checked(4) {
        let length = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let value = after.get(..length)?;
        match u16::from_be_bytes([head[0], head[1]]) {
            ERROR_CODE => answer.code = u16::from(*value.get(2)?) * 100 + u16::from(*value.get(3)?),
            REALM => answer.realm = value.to_vec(),
            NONCE => answer.nonce = value.to_vec(),
            XOR_RELAYED_ADDRESS => {
                let port = u16::from_be_bytes(value.get(2..4)?.try_into().ok()?)
                    ^ (MAGIC_COOKIE >> 16) as u16;
                let ip = u32::from_be_bytes(value.get(4..8)?.try_into().ok()?) ^ MAGIC_COOKIE;
                answer.relayed = Some(SocketAddrV4::new(Ipv4Addr::from(ip), port));
            }
            _ => {}
        }
        rest = after.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    if class == 0x0110 && answer.code == 0 {
        return None;
    }
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_is_what_the_rest_convention_says() {
        // Computed with: printf 1:s:a | openssl dgst -sha1 -hmac secret -binary | base64
        let credentials = Credentials::shared(b"secret", "1:s:a".into());
        assert_eq!(credentials.password, "fMpGXjvjBN3DiHXBzhMzDmpDOj8=");
    }

    #[test]
    fn an_error_tells_its_code_its_realm_and_its_nonce() {
        let mut message = request(Method::Allocate, [7; 12], &[], None);
        append(&mut message, ERROR_CODE, &[0, 0, 4, 1]);
        append(&mut message, REALM, b"turngate");
        append(&mut message, NONCE, b"n");
        message[0..2].copy_from_slice(&0x0113u16.to_be_bytes());
        set_length(&mut message, 0);
        let answer = answer(&message).unwrap();
        assert_eq!(
            (answer.code, answer.realm, answer.nonce),
            (401, b"turngate".to_vec(), b"n".to_vec())
        );
        assert_eq!(answer.id, [7; 12]);
    }

    #[test]
    fn what_is_cut_off_anywhere_is_no_answer_or_a_shorter_one() {
        let mut message = request(
            Method::Allocate,
            [7; 12],
            &[(XOR_RELAYED_ADDRESS, &[0, 1, 2, 3, 4, 5, 6, 7])],
            None,
        );
        message[0..2].copy_from_slice(&0x0103u16.to_be_bytes());
        for length in 0..message.len() {
            let _ = answer(&message[..length]);
        }
        assert!(answer(&message).unwrap().relayed.is_some());
    }
}
