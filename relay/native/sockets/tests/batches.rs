//! What leaves in batches arrives, datagram by datagram, and an address is bound by one group only.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::io::IoSlice;
use std::net::UdpSocket;

use turngate_sockets::{Destination, Inbox, Outbox, Outgoing, Socket, MAX_SEGMENTS};

fn group(count: usize) -> Vec<Socket> {
    Socket::bind_group("127.0.0.1:0".parse().unwrap(), count, 1 << 20).unwrap()
}

#[test]
fn segments_of_one_message_arrive_as_datagrams_in_order() {
    let (sender, receiver) = (group(1), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = Destination::from(receiver.local_addr().unwrap());
    let sent: Vec<Vec<u8>> = (0..MAX_SEGMENTS as u8)
        .map(|number| vec![number; 100])
        .collect();
    let mut sent = sent;
    sent.last_mut().unwrap().truncate(7);
    let slices: Vec<IoSlice<'_>> = sent.iter().map(|one| IoSlice::new(one)).collect();
    let alone = [IoSlice::new(b"alone")];
    let messages = [
        Outgoing {
            to: &to,
            datagrams: &slices,
        },
        Outgoing {
            to: &to,
            datagrams: &alone,
        },
    ];
    let mut told = Vec::new();
    Outbox::default().send(&sender[0], &messages, |at, datagrams, taken| {
        told.push((at, datagrams, taken))
    });
    assert_eq!(told, [(0, 0..MAX_SEGMENTS, true), (1, 0..1, true)]);
    let mut buffer = [0; 2000];
    for expected in sent.iter().map(Vec::as_slice).chain([b"alone".as_slice()]) {
        let received = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..received], expected);
    }
}

#[test]
fn what_the_system_refuses_is_told_and_the_rest_goes_on() {
    let (sender, receiver) = (group(1), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = Destination::from(receiver.local_addr().unwrap());
    let (long, short) = (vec![0; 65_530], vec![1; 10]);
    let (long, short) = ([IoSlice::new(&long)], [IoSlice::new(&short)]);
    let messages = [&short, &long, &short].map(|datagrams| Outgoing { to: &to, datagrams });
    let mut told = Vec::new();
    Outbox::default().send(&sender[0], &messages, |_, _, taken| told.push(taken));
    assert_eq!(told, [true, false, true]);
}

#[test]
fn of_a_message_that_cannot_be_segmented_each_datagram_is_told() {
    let (sender, receiver) = (group(1), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = Destination::from(receiver.local_addr().unwrap());
    // More than one message may hold in all; the first alone is more than a datagram may.
    let (long, short) = (vec![0; 65_530], vec![1; 10]);
    let datagrams = [IoSlice::new(&long), IoSlice::new(&short)];
    let messages = [Outgoing {
        to: &to,
        datagrams: &datagrams,
    }];
    let mut told = Vec::new();
    Outbox::default().send(&sender[0], &messages, |_, datagrams, taken| {
        told.push((datagrams, taken))
    });
    assert_eq!(told, [(0..1, false), (1..2, true)]);
    assert_eq!(receiver.recv(&mut [0; 20]).unwrap(), 10);
}

#[test]
fn a_batch_holds_who_sent_what() {
    let (receiver, mut inbox) = (group(1), Inbox::new(8));
    let senders: Vec<UdpSocket> = (0..3)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for (number, sender) in senders.iter().enumerate() {
        sender
            .send_to(&vec![number as u8; number], receiver[0].address())
            .unwrap();
    }
    assert_eq!(inbox.receive(&receiver[0]).unwrap(), 3);
    for (number, sender) in senders.iter().enumerate() {
        let (datagram, source) = inbox.datagram(number).unwrap();
        assert_eq!(datagram, vec![number as u8; number]);
        assert_eq!(source, sender.local_addr().unwrap());
    }
    assert!(inbox.datagram(8).is_none());
}

#[test]
fn an_address_of_one_group_is_in_use_for_another() {
    let first = group(3);
    let refused = Socket::bind_group(first[0].address(), 3, 1 << 20)
        .err()
        .unwrap();
    assert_eq!(refused.kind(), std::io::ErrorKind::AddrInUse);
}

#[test]
fn clients_are_spread_over_a_group_and_each_stays_with_one() {
    let receivers = group(2);
    let senders: Vec<UdpSocket> = (0..64)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    for _ in 0..2 {
        for sender in &senders {
            sender.send_to(b"hello", receivers[0].address()).unwrap();
        }
    }
    let mut seen = Vec::new();
    for receiver in &receivers {
        let mut inbox = Inbox::new(256);
        let received = inbox.receive(receiver).unwrap();
        let mut sources: Vec<_> = (0..received)
            .map(|at| inbox.datagram(at).unwrap().1)
            .collect();
        sources.sort();
        assert!(sources.chunks(2).all(|pair| pair[0] == pair[1]));
        seen.push(received);
    }
    assert_eq!(seen.iter().sum::<usize>(), 128);
}

#[test]
fn whoever_waits_is_told_when_receiving_is_closed() {
    let receivers = group(1);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| Inbox::new(1).receive(&receivers[0]));
        while !waiting.is_finished() {
            receivers[0].close_receiving();
            std::thread::yield_now();
        }
    });
}
