//! Threads that read the table while another changes it: nobody uses a row once its removal has returned.
//!
//! A program of its own, so that a thread sanitizer sees nothing but it (`make sanitize`).
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::RwLock;
use turngate_rows::{
    FiveTuple, Form, Leg, LimiterSettings, PuntBounds, PuntQueue, Route, Table, Transport,
};

const ROUNDS: u16 = 5000;
const READERS: usize = 2;
const CHANNEL: u16 = 0x4000;

struct Shared {
    table: RwLock<Table>,
    punts: PuntQueue,
    stop: AtomicBool,
    /// Rows are numbered by their target's channel; all up to this one are gone.
    removed: AtomicU64,
    used: AtomicU64,
}

fn five_tuple(client: u8) -> FiveTuple {
    FiveTuple {
        transport: Transport::Udp,
        client: SocketAddr::from(([198, 51, 100, client], 5000)),
        server: SocketAddr::from(([192, 0, 2, 1], 3478)),
    }
}

fn route(number: u16) -> Route {
    Route {
        source: Leg {
            five_tuple: five_tuple(1),
            form: Form::Channel(CHANNEL),
        },
        target: Leg {
            five_tuple: five_tuple(2),
            form: Form::Channel(number),
        },
        session_id: "s".to_owned(),
        payload_types: Some(vec![96]),
        audio_payload_types: Vec::new(),
        dtls_budget_bytes: u64::MAX,
        limiter_ids: vec!["total".to_owned()],
    }
}

fn read(shared: &Shared) {
    let mut rtp = [0; 40];
    rtp[..2].copy_from_slice(&[0x80, 96]);
    let owner = five_tuple(1);
    let mut now = 1;
    while !shared.stop.load(Ordering::Relaxed) {
        now += 1000;
        let before = shared.removed.load(Ordering::SeqCst);
        let table = shared.table.read();
        let Some((_, row)) = table.row_of_channel(0, owner.client, CHANNEL) else {
            continue;
        };
        let number = u64::from(row.target_channel().unwrap());
        assert!(
            number > before,
            "row {number} is there, though all up to {before} were removed"
        );
        if row.flow.waits() {
            let admission = shared.punts.admit(owner, table.flow(&owner), &rtp, now);
            admission.map(|admission| shared.punts.put(admission, &rtp));
        } else if row.admits(&rtp, now) {
            row.passed(1, 40, now);
            shared.used.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn change(shared: &Shared) {
    let limit = LimiterSettings {
        bits_per_second: 1 << 40,
        burst_bytes: 1 << 30,
        audio_reserve_bytes: 0,
    };
    for number in 1..=ROUNDS {
        assert!(shared
            .table
            .write()
            .install(route(number), [0; 12], &shared.punts));
        shared
            .table
            .write()
            .set_limit("total".to_owned(), Some(limit));
        shared.table.write().own(five_tuple(1), &shared.punts);
        std::thread::yield_now();
        let _ = shared.table.read().totals();
        shared.punts.take(8);
        match number % 3 {
            0 => drop(shared.table.write().remove(&route(number).source).unwrap()),
            1 => assert_eq!(shared.table.write().remove_session("s").len(), 1),
            _ => {
                let removed = shared.table.write().remove_all();
                assert_eq!(removed.counters().len(), 1);
            }
        }
        shared.removed.store(u64::from(number), Ordering::SeqCst);
        shared.table.write().disown(&five_tuple(1));
    }
    shared.stop.store(true, Ordering::Relaxed);
}

fn main() {
    let mut table = Table::default();
    table.set_listeners(&[five_tuple(1).server]);
    let budget = (1e6, 1e6);
    let punts = PuntQueue::new(PuntBounds {
        waiting: 1000,
        waiting_bytes: 1_000_000,
        strangers_waiting: 50,
        stream_strangers_waiting: 50,
        stranger_bytes: 2048,
        owned: budget,
        strangers: budget,
        stream_strangers: budget,
        network: budget,
    });
    let shared: &'static Shared = Box::leak(Box::new(Shared {
        table: RwLock::new(table),
        punts,
        stop: AtomicBool::new(false),
        removed: AtomicU64::new(0),
        used: AtomicU64::new(0),
    }));
    let readers: Vec<_> = (0..READERS)
        .map(|_| std::thread::spawn(|| read(shared)))
        .collect();
    change(shared);
    for reader in readers {
        reader.join().unwrap();
    }
    let used = shared.used.load(Ordering::Relaxed);
    assert!(used > 0);
    println!("{ROUNDS} rows came and went; {used} packets passed");
}
