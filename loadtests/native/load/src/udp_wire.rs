//! All clients by one socket.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use turngate_batches::{Departure, Inbox, Outbox, Socket, BATCH};

use crate::clients::{address_of, client_at};
use crate::wire::{Arrived, Parcel, Wire};

const BUFFER_BYTES: usize = 4 << 20;
/// What is received at a time, so that a busy server cannot keep the sender from sending.
const BATCHES_AT_A_TIME: usize = 4;

pub struct UdpWire {
    socket: Socket,
    server: SocketAddrV4,
    inbox: Inbox,
    outbox: Outbox,
}

impl UdpWire {
    pub fn open(server: SocketAddrV4, clients_port: u16) -> io::Result<Self> {
        let socket = Socket::bind(
            SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, clients_port),
            BUFFER_BYTES,
        )?;
        Ok(Self {
            socket,
            server,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
        })
    }

    pub fn port(&self) -> io::Result<u16> {
        Ok(self.socket.address()?.port())
    }

    pub fn tell_times(&self) -> io::Result<()> {
        self.socket.tell_times()
    }

    /// A datagram from an address that need not be a client's.
    pub fn send_from(&mut self, messages: &[(Ipv4Addr, &[u8])]) -> io::Result<usize> {
        let departures: Vec<_> = messages
            .iter()
            .map(|(from, message)| Departure {
                from: *from,
                to: self.server,
                head: message,
                tail: &[],
            })
            .collect();
        self.outbox.send(&self.socket, &departures)
    }

    /// The addresses what has come was sent to, with the length of it.
    pub fn receive_anywhere(
        &mut self,
        arrived: &mut dyn FnMut(Ipv4Addr, usize),
    ) -> io::Result<usize> {
        let count = self.inbox.receive(&self.socket, false)?;
        for at in 0..count {
            let arrival = self.inbox.arrival(at);
            arrived(arrival.to, arrival.datagram.len());
        }
        Ok(count)
    }
}

impl Wire for UdpWire {
    fn send(&mut self, parcels: &[Parcel<'_>]) -> io::Result<usize> {
        let nobody = Departure {
            from: Ipv4Addr::UNSPECIFIED,
            to: self.server,
            head: &[],
            tail: &[],
        };
        let mut departures = [nobody; BATCH];
        let batch = parcels.len().min(BATCH);
        for (departure, parcel) in departures.iter_mut().zip(parcels) {
            departure.from = address_of(parcel.client);
            departure.head = parcel.head;
            departure.tail = parcel.tail;
        }
        self.outbox.send(&self.socket, &departures[..batch])
    }

    fn receive(&mut self, arrived: &mut dyn FnMut(Arrived<'_>)) -> io::Result<usize> {
        let mut all = 0;
        for _ in 0..BATCHES_AT_A_TIME {
            let count = self.inbox.receive(&self.socket, false)?;
            for at in 0..count {
                let arrival = self.inbox.arrival(at);
                if let Some(client) = client_at(arrival.to).filter(|_| arrival.from == self.server)
                {
                    arrived(Arrived {
                        client,
                        at_nanoseconds: arrival.at_nanoseconds,
                        message: arrival.datagram,
                    });
                }
            }
            all += count;
            if count < BATCH {
                break;
            }
        }
        Ok(all)
    }
}
