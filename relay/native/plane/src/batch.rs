//! One thread's work: a batch of datagrams in, by their rows out again.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::atomic::Ordering;
use std::sync::Arc;

use turngate_rows::{
    channel_of, Admission, ChannelData, DropReason, FiveTuple, Row, Table, Target, Transport,
};
use turngate_sockets::{
    monotonic_nanoseconds, Destination, Inbox, Outbox, Outgoing, Socket, MAX_SEGMENTS,
    MAX_SEGMENT_BYTES,
};

use crate::shared::{count, Shared};

const BATCH: usize = 64;
const CHANNEL_HEAD: usize = 4;
/// What one message may carry in all its segments.
const MAX_MESSAGE_BYTES: usize = 64_000;

/// Where a datagram that is to leave lies.
enum Held {
    /// In the inbox, at this place.
    Received(usize),
    Framed(Vec<u8>),
}

struct Packet {
    held: Held,
    bytes: usize,
    payload_bytes: usize,
}

/// Datagrams of one row that leave as one message.
struct Group {
    row: usize,
    flow: u64,
    listener: usize,
    client: SocketAddr,
    /// Of every packet but the last, which may be shorter.
    bytes: usize,
    packets: Vec<Packet>,
    closed: bool,
}

/// A datagram for control, which hears of it once all that came before it has left.
struct Punted {
    at: usize,
    bytes: usize,
    admission: Admission,
}

/// What a thread keeps from batch to batch.
pub(crate) struct Carrier<'a> {
    shared: &'a Shared,
    listener: usize,
    /// By listener, those of this thread.
    sockets: Vec<Arc<Socket>>,
    inbox: Inbox,
    outbox: Outbox,
    groups: Vec<Group>,
    punts: Vec<Punted>,
}

impl<'a> Carrier<'a> {
    pub(crate) fn new(shared: &'a Shared, listener: usize, sockets: Vec<Arc<Socket>>) -> Self {
        Self {
            shared,
            listener,
            sockets,
            inbox: Inbox::new(BATCH),
            outbox: Outbox::default(),
            groups: Vec::with_capacity(BATCH),
            punts: Vec::with_capacity(BATCH),
        }
    }

    /// Until the plane stops.
    pub(crate) fn run(mut self) {
        let shared = self.shared;
        let Some(socket) = self.sockets.get(self.listener).cloned() else {
            return;
        };
        loop {
            let received = self.inbox.receive(&socket);
            if shared.stopping.load(Ordering::Acquire) {
                return;
            }
            match received {
                Ok(datagrams) => {
                    if catch_unwind(AssertUnwindSafe(|| self.carry(datagrams))).is_err() {
                        shared.faults.fetch_add(1, Ordering::Relaxed);
                        self.outbox = Outbox::default();
                        self.groups.clear();
                        self.punts.clear();
                    }
                }
                // A signal, or an ICMP error about a client that went away.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    fn carry(&mut self, datagrams: usize) {
        let now = monotonic_nanoseconds();
        let table = self.shared.table.read();
        for at in 0..datagrams {
            self.take(&table, at, now);
        }
        self.send(&table, now);
        for punted in self.punts.drain(..) {
            let datagram = self.inbox.part(punted.at, punted.bytes);
            self.shared.punt(punted.admission, datagram);
        }
    }

    fn take(&mut self, table: &Table, at: usize, now: u64) {
        let shared = self.shared;
        let Some((datagram, client)) = self.inbox.datagram(at) else {
            return;
        };
        let channel = channel_of(datagram);
        let found =
            channel.and_then(|channel| table.row_of_channel(self.listener, client, channel));
        let Some((row_at, row)) = found.filter(|(_, row)| !row.flow.waits()) else {
            let bytes = datagram.len();
            let Some(server) = self
                .sockets
                .get(self.listener)
                .map(|socket| socket.address())
            else {
                return;
            };
            let five_tuple = FiveTuple {
                transport: Transport::Udp,
                client,
                server,
            };
            let flow = table.flow(&five_tuple);
            let admission = shared.punts.admit(five_tuple, flow, datagram, now);
            self.punts.extend(admission.map(|admission| Punted {
                at,
                bytes,
                admission,
            }));
            return;
        };
        let Some(payload) = ChannelData::of(datagram).payload else {
            row.dropped(DropReason::Class, 1);
            return;
        };
        if !row.admits(payload, now) {
            return;
        }
        let payload_bytes = payload.len();
        let (held, bytes) = match (&row.target, row.target_channel()) {
            (Target::Stream(target), _) => {
                let framed = row.framed(payload);
                shared.queue_for_stream(row, target, framed, payload_bytes, now);
                return;
            }
            (Target::Datagram { .. }, Some(to)) => {
                if let [high, low, ..] = datagram {
                    [*high, *low] = to.to_be_bytes();
                }
                (Held::Received(at), CHANNEL_HEAD + payload_bytes)
            }
            (Target::Datagram { .. }, None) => {
                let framed = row.framed(payload);
                let bytes = framed.len();
                (Held::Framed(framed), bytes)
            }
        };
        let packet = Packet {
            held,
            bytes,
            payload_bytes,
        };
        self.group(row_at, row, packet);
    }

    /// With the packet before it of the same five-tuple, if one message can carry both: so order is kept.
    fn group(&mut self, row_at: usize, row: &Row, packet: Packet) {
        let Target::Datagram { listener, client } = row.target else {
            return;
        };
        let flow = row.flow.number;
        let bytes = packet.bytes;
        if let Some(group) = self
            .groups
            .iter_mut()
            .rev()
            .find(|group| group.flow == flow)
        {
            let room =
                group.packets.len() < MAX_SEGMENTS.min(MAX_MESSAGE_BYTES / group.bytes.max(1));
            if group.row == row_at
                && !group.closed
                && room
                && bytes <= group.bytes
                && group.bytes <= MAX_SEGMENT_BYTES
            {
                group.closed = bytes < group.bytes;
                group.packets.push(packet);
                return;
            }
        }
        let segments = self
            .sockets
            .get(listener)
            .is_some_and(|socket| socket.takes_segments());
        self.groups.push(Group {
            row: row_at,
            flow,
            listener,
            client,
            bytes,
            packets: vec![packet],
            closed: !segments,
        });
    }

    fn send(&mut self, table: &Table, now: u64) {
        for (listener, socket) in self.sockets.iter().enumerate() {
            let groups: Vec<&Group> = self
                .groups
                .iter()
                .filter(|group| group.listener == listener)
                .collect();
            if groups.is_empty() {
                continue;
            }
            let inbox = &self.inbox;
            let slices: Vec<Vec<IoSlice<'_>>> = groups
                .iter()
                .map(|group| {
                    group
                        .packets
                        .iter()
                        .map(|packet| slice_of(inbox, packet))
                        .collect()
                })
                .collect();
            let destinations: Vec<Destination> =
                groups.iter().map(|group| group.client.into()).collect();
            let messages: Vec<Outgoing<'_>> = destinations
                .iter()
                .zip(&slices)
                .map(|(to, datagrams)| Outgoing { to, datagrams })
                .collect();
            self.outbox.send(socket, &messages, |at, datagrams, sent| {
                let Some(group) = groups.get(at) else {
                    return;
                };
                let packets = group.packets.get(datagrams).unwrap_or_default();
                let payload_bytes = packets.iter().map(|packet| packet.payload_bytes).sum();
                if let Some(row) = table.row_at(group.row) {
                    count(row, sent, packets.len(), payload_bytes, now);
                }
            });
        }
        self.groups.clear();
    }
}

fn slice_of<'a>(inbox: &'a Inbox, packet: &'a Packet) -> IoSlice<'a> {
    IoSlice::new(match &packet.held {
        Held::Received(at) => inbox.part(*at, packet.bytes),
        Held::Framed(framed) => framed,
    })
}
