//! The table against a plain model, over any sequence of operations.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashMap;
use std::net::SocketAddr;

use proptest::prelude::*;
use turngate_rows::{
    FiveTuple, Form, Leg, LimiterSettings, PuntBounds, PuntQueue, Route, Table, Target, Transport,
};

const SERVER: &str = "192.0.2.1:3478";

fn punts() -> PuntQueue {
    PuntQueue::new(PuntBounds {
        waiting: 100,
        waiting_bytes: 100_000,
        strangers_waiting: 50,
        stream_strangers_waiting: 50,
        stranger_bytes: 2048,
        owned: (1000.0, 100.0),
        strangers: (1000.0, 100.0),
        stream_strangers: (1000.0, 100.0),
        network: (1000.0, 100.0),
    })
}

fn table() -> Table {
    let mut table = Table::default();
    table.set_listeners(&[SERVER.parse().unwrap()]);
    table
}

fn client(number: u8) -> FiveTuple {
    FiveTuple {
        transport: Transport::Udp,
        client: SocketAddr::from(([198, 51, 100, number], 5000)),
        server: SERVER.parse().unwrap(),
    }
}

fn route(from: u8, channel: u16, to: u8, session_id: u8) -> Route {
    Route {
        source: Leg {
            five_tuple: client(from),
            form: Form::Channel(channel),
        },
        target: Leg {
            five_tuple: client(to),
            form: Form::Channel(0x4000 + u16::from(to)),
        },
        session_id: session_id.to_string(),
        payload_types: None,
        audio_payload_types: Vec::new(),
        dtls_budget_bytes: 0,
        limiter_ids: vec![session_id.to_string(), "total".to_owned()],
    }
}

#[derive(Clone, Debug)]
enum Operation {
    Install {
        from: u8,
        channel: u16,
        to: u8,
        session: u8,
    },
    Remove {
        from: u8,
        channel: u16,
    },
    RemoveSession(u8),
    RemoveAll,
    Own(u8),
    Disown(u8),
    Limit(u8, bool),
    Send {
        from: u8,
        channel: u16,
    },
}

fn operation() -> impl Strategy<Value = Operation> {
    let (party, channel, session) = (0u8..4, 0x4000u16..0x4003, 0u8..3);
    prop_oneof![
        6 => (party.clone(), channel.clone(), party.clone(), session.clone())
            .prop_map(|(from, channel, to, session)| Operation::Install { from, channel, to, session }),
        2 => (party.clone(), channel.clone()).prop_map(|(from, channel)| Operation::Remove { from, channel }),
        1 => session.clone().prop_map(Operation::RemoveSession),
        1 => Just(Operation::RemoveAll),
        1 => party.clone().prop_map(Operation::Own),
        1 => party.clone().prop_map(Operation::Disown),
        1 => (session, any::<bool>()).prop_map(|(session, lifted)| Operation::Limit(session, lifted)),
        6 => (party, channel).prop_map(|(from, channel)| Operation::Send { from, channel }),
    ]
}

/// What a row leads to, whose it is, and what it has carried.
type Model = HashMap<(u8, u16), (u8, u8, u64)>;

proptest! {
    #[test]
    fn rows_are_what_was_installed_and_not_removed_since(operations in proptest::collection::vec(operation(), 1..120)) {
        let (mut table, punts, mut model) = (table(), punts(), Model::new());
        for operation in operations {
            match operation {
                Operation::Install { from, channel, to, session } => {
                    prop_assert!(table.install(route(from, channel, to, session), [0; 12], &punts));
                    let carried = model.get(&(from, channel)).map_or(0, |row| row.2);
                    model.insert((from, channel), (to, session, carried));
                }
                Operation::Remove { from, channel } => {
                    let removed = table.remove(&route(from, channel, 0, 0).source);
                    let expected = model.remove(&(from, channel));
                    prop_assert_eq!(removed.map(|counters| counters.packets), expected.map(|row| row.2));
                }
                Operation::RemoveSession(session) => {
                    let removed = table.remove_session(&session.to_string()).len();
                    let before = model.len();
                    model.retain(|_, row| row.1 != session);
                    prop_assert_eq!(removed, before - model.len());
                }
                Operation::RemoveAll => {
                    let removed = table.remove_all().counters();
                    let carried: HashMap<_, _> = removed
                        .into_iter()
                        .map(|(source, counters)| (source, counters.packets))
                        .collect();
                    let expected: HashMap<_, _> = model
                        .drain()
                        .map(|((from, channel), row)| (route(from, channel, 0, 0).source, row.2))
                        .collect();
                    prop_assert_eq!(carried, expected);
                }
                Operation::Own(party) => table.own(client(party), &punts),
                Operation::Disown(party) => table.disown(&client(party)),
                Operation::Limit(session, lifted) => {
                    let limit = LimiterSettings { bits_per_second: 1, burst_bytes: 0, audio_reserve_bytes: 0 };
                    table.set_limit(session.to_string(), (!lifted).then_some(limit));
                    // What does not pass is told by the specs of the limiter; here everything is to pass again.
                    table.set_limit(session.to_string(), None);
                }
                Operation::Send { from, channel } => {
                    let found = table.row_of_channel(0, client(from).client, channel);
                    let expected = model.get_mut(&(from, channel));
                    prop_assert_eq!(found.is_some(), expected.is_some());
                    if let (Some((_, row)), Some(expected)) = (found, expected) {
                        let Target::Datagram { client: to, .. } = &row.target else {
                            return Err(TestCaseError::fail("a stream"));
                        };
                        prop_assert_eq!(*to, client(expected.0).client);
                        prop_assert!(row.admits(b"payload", 1));
                        row.passed(1, 7, 1);
                        expected.2 += 1;
                    }
                }
            }
            prop_assert_eq!(table.totals().packets, model.values().map(|row| row.2).sum::<u64>());
        }
        for party in 0..4 {
            table.disown(&client(party));
        }
        table.remove_all();
        for party in 0..4 {
            prop_assert!(table.flow(&client(party)).is_none());
        }
    }
}
