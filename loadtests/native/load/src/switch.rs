//! The bound: what a relay cannot do with less of.

use std::collections::HashMap;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddrV4};

use turngate_batches::{Departure, Inbox, Outbox, Socket, BATCH};

use crate::clients::{address_of, channel_of, partner_of};

const BUFFER_BYTES: usize = 4 << 20;

/// Forward by a table of (address, channel) that nobody changes: no class of payload, no limit, no counter.
pub fn run(listen: SocketAddrV4, clients_port: u16, pairs: usize) -> io::Result<()> {
    let socket = Socket::bind(listen, BUFFER_BYTES)?;
    let at = |client| SocketAddrV4::new(address_of(client), clients_port);
    let table: HashMap<(SocketAddrV4, u16), (SocketAddrV4, [u8; 2])> = (0..2 * pairs)
        .map(|client| {
            let partner = partner_of(client);
            (
                (at(client), channel_of(client)),
                (at(partner), channel_of(partner).to_be_bytes()),
            )
        })
        .collect();
    println!("{{\"listening\": \"{}\"}}", socket.address()?);
    std::thread::spawn(|| {
        let _ = io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(0);
    });
    let (mut inbox, mut outbox) = (Inbox::default(), Outbox::default());
    loop {
        let received = inbox.receive(&socket, true)?;
        let mut places = [(0, listen); BATCH];
        let mut forwarded = 0;
        for at in 0..received {
            let arrival = inbox.arrival(at);
            if let [high, low, ..] = arrival.datagram {
                let channel = u16::from_be_bytes([*high, *low]);
                if let Some((to, rewritten)) = table.get(&(arrival.from, channel)) {
                    [*high, *low] = *rewritten;
                    places[forwarded] = (at, *to);
                    forwarded += 1;
                }
            }
        }
        let nothing = Departure {
            from: Ipv4Addr::UNSPECIFIED,
            to: listen,
            head: &[],
            tail: &[],
        };
        let mut departures = [nothing; BATCH];
        for (departure, (at, to)) in departures.iter_mut().zip(&places[..forwarded]) {
            departure.to = *to;
            departure.head = inbox.bytes(*at);
        }
        let mut left = &departures[..forwarded];
        while !left.is_empty() {
            let sent = outbox.send(&socket, left)?;
            left = &left[sent..];
        }
    }
}
