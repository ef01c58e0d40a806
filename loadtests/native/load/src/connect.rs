//! The clients' TURN sessions: allocated, bound to their partners, refreshed, and left.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use turngate_batches::BATCH;

use crate::clients::{channel_of, partner_of};
use crate::stun::{self, Answer, Credentials, TransactionId};
use crate::wire::{Parcel, Wire};

const CREDENTIAL_SECONDS: u64 = 24 * 3600;
const LIFETIME_SECONDS: u32 = 600;
/// Clients that wait for an answer at once.
const OPEN_AT_ONCE: usize = BATCH;
const RETRANSMIT_AFTER: Duration = Duration::from_millis(500);
const MOST_TRIES: u32 = 7;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Task {
    Allocate,
    Bind,
    Refresh,
    Leave,
}

struct Client {
    credentials: Credentials,
    relayed: Option<SocketAddrV4>,
}

#[derive(Default)]
pub struct Clients {
    clients: Vec<Client>,
    requests: u64,
}

struct Open {
    id: TransactionId,
    sent: Instant,
    tries: u32,
}

impl Clients {
    /// Nobody has asked the server for anything yet.
    pub fn new(count: usize, secret: &[u8]) -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let expiry = now.as_secs() + CREDENTIAL_SECONDS;
        let client = |number: usize| Client {
            credentials: Credentials::shared(
                secret,
                format!("{expiry}:pair{}:{}", number / 2, number % 2),
            ),
            relayed: None,
        };
        Self {
            clients: (0..count).map(client).collect(),
            requests: 0,
        }
    }

    pub fn count(&self) -> usize {
        self.clients.len()
    }

    /// Let every client do this, many at a time; how long it took.
    pub fn do_all(&mut self, task: Task, wire: &mut dyn Wire) -> io::Result<Duration> {
        let began = Instant::now();
        let mut waiting: VecDeque<usize> = (0..self.count()).collect();
        let mut open: HashMap<usize, Open> = HashMap::new();
        let mut to_send: Vec<(usize, Vec<u8>)> = Vec::new();
        while !(waiting.is_empty() && open.is_empty() && to_send.is_empty()) {
            while open.len() < OPEN_AT_ONCE {
                let Some(client) = waiting.pop_front() else {
                    break;
                };
                let (id, request) = self.request(task, client)?;
                open.insert(
                    client,
                    Open {
                        id,
                        sent: Instant::now(),
                        tries: 1,
                    },
                );
                to_send.push((client, request));
            }
            let parcels: Vec<_> = to_send
                .iter()
                .map(|(client, request)| Parcel {
                    client: *client,
                    head: request,
                    tail: &[],
                })
                .collect();
            let sent = wire.send(&parcels)?;
            to_send.drain(..sent);
            let mut answers = Vec::new();
            let received = wire.receive(&mut |arrived| {
                answers
                    .extend(stun::answer(arrived.message).map(|answer| (arrived.client, answer)));
            })?;
            for (client, answer) in answers {
                if open.get(&client).is_some_and(|open| open.id == answer.id) {
                    open.remove(&client);
                    if !self.answered(task, client, answer)? {
                        waiting.push_front(client);
                    }
                }
            }
            if received == 0 {
                std::thread::yield_now();
                for (client, open) in &mut open {
                    if open.sent.elapsed() > RETRANSMIT_AFTER {
                        if open.tries == MOST_TRIES {
                            return Err(io::Error::other(format!(
                                "{task:?}: client {client} was never answered"
                            )));
                        }
                        let (id, request) = self.request(task, *client)?;
                        *open = Open {
                            id,
                            sent: Instant::now(),
                            tries: open.tries + 1,
                        };
                        to_send.push((*client, request));
                    }
                }
            }
        }
        Ok(began.elapsed())
    }

    /// The id of a request and the request.
    pub fn request(&mut self, task: Task, number: usize) -> io::Result<(TransactionId, Vec<u8>)> {
        self.requests += 1;
        let mut id = [0; 12];
        id[..4].copy_from_slice(&(number as u32).to_be_bytes());
        id[4..].copy_from_slice(&self.requests.to_be_bytes());
        let partner = self
            .clients
            .get(partner_of(number))
            .and_then(|client| client.relayed);
        let credentials = &self.clients[number].credentials;
        let request = match task {
            Task::Allocate => {
                stun::allocate(id, (!credentials.nonce.is_empty()).then_some(credentials))
            }
            Task::Refresh => stun::refresh(id, LIFETIME_SECONDS, credentials),
            Task::Leave => stun::refresh(id, 0, credentials),
            Task::Bind => {
                let peer =
                    partner.ok_or_else(|| io::Error::other("a partner has no relayed address"))?;
                stun::channel_bind(id, channel_of(number), peer, credentials)
            }
        };
        Ok((id, request))
    }

    /// Whether that was all, or the client has to ask once more.
    fn answered(&mut self, task: Task, number: usize, answer: Answer) -> io::Result<bool> {
        let client = &mut self.clients[number];
        match answer.code {
            0 => {
                client.relayed = answer.relayed.or(client.relayed);
                Ok(true)
            }
            401 if client.credentials.nonce.is_empty() => {
                client.credentials.challenged(answer.realm, answer.nonce);
                Ok(false)
            }
            438 => {
                client.credentials.challenged(answer.realm, answer.nonce);
                Ok(false)
            }
            code => Err(io::Error::other(format!(
                "{task:?}: client {number} was answered {code}"
            ))),
        }
    }
}
