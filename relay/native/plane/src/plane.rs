//! The contract of `relay/vocabulary.py`, as control calls it.

use std::io;
use std::net::SocketAddr;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use turngate_rows::{
    channel_of, ChannelData, Counters, DropReason, Egress, EgressBounds, EgressQueue, FiveTuple,
    Form, Leg, LimiterSettings, Punt, PuntBounds, PuntQueue, Route, Table,
};
use turngate_sockets::{monotonic_nanoseconds, Socket, WakeUp};

use crate::batch::Carrier;
use crate::shared::{PlaneCounters, Shared};

/// A running plane. Everything but `stop` waits at most for one batch of each thread.
pub struct Plane {
    shared: Arc<Shared>,
    listeners: Vec<SocketAddr>,
    /// By listener, one for each thread.
    sockets: Mutex<Vec<Vec<Arc<Socket>>>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Plane {
    /// Bind all listeners or none, `workers` threads for each.
    ///
    /// The error comes with the address that could not be bound.
    pub fn start(
        addresses: &[SocketAddr],
        workers: usize,
        buffer_bytes: usize,
        punt_bounds: PuntBounds,
        egress_bounds: EgressBounds,
    ) -> Result<Self, (io::Error, Option<SocketAddr>)> {
        let mut sockets: Vec<Vec<Arc<Socket>>> = Vec::new();
        for address in addresses {
            let group = Socket::bind_group(*address, workers, buffer_bytes)
                .map_err(|error| (error, Some(*address)))?;
            sockets.push(group.into_iter().map(Arc::new).collect());
        }
        let listeners: Vec<SocketAddr> = sockets
            .iter()
            .flatten()
            .step_by(workers.max(1))
            .map(|one| one.address())
            .collect();
        let plain = |error| (error, None);
        let mut table = Table::default();
        table.set_listeners(&listeners);
        let plane = Self {
            shared: Arc::new(Shared {
                table: RwLock::new(table),
                punts: PuntQueue::new(punt_bounds),
                punts_wake: WakeUp::new().map_err(plain)?,
                egress: EgressQueue::new(egress_bounds),
                egress_wake: WakeUp::new().map_err(plain)?,
                answering: RwLock::new(
                    sockets
                        .iter()
                        .filter_map(|group| group.first().cloned())
                        .collect(),
                ),
                stopping: AtomicBool::new(false),
                send_failed: AtomicU64::new(0),
                faults: AtomicU64::new(0),
            }),
            listeners,
            sockets: Mutex::new(sockets.clone()),
            threads: Mutex::default(),
        };
        for listener in 0..addresses.len() {
            for thread in 0..workers.max(1) {
                let shared = Arc::clone(&plane.shared);
                let own = sockets
                    .iter()
                    .filter_map(|group| group.get(thread).cloned())
                    .collect();
                let started = std::thread::Builder::new()
                    .name(format!("relay-{listener}-{thread}"))
                    .spawn(move || Carrier::new(&shared, listener, own).run());
                match started {
                    Ok(handle) => plane.threads.lock().push(handle),
                    Err(error) => {
                        plane.stop();
                        return Err((error, None));
                    }
                }
            }
        }
        Ok(plane)
    }

    pub fn listeners(&self) -> &[SocketAddr] {
        &self.listeners
    }

    /// Waits for the threads to end; then the addresses are free.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.remove_all();
        self.shared.answering.write().clear();
        let sockets = std::mem::take(&mut *self.sockets.lock());
        sockets
            .iter()
            .flatten()
            .for_each(|socket| socket.close_receiving());
        for thread in self.threads.lock().drain(..) {
            let _ = thread.join();
        }
    }

    pub fn own(&self, five_tuple: FiveTuple) {
        self.shared
            .table
            .write()
            .own(five_tuple, &self.shared.punts);
    }

    pub fn disown(&self, five_tuple: &FiveTuple) {
        self.shared.table.write().disown(five_tuple);
    }

    pub fn install(&self, route: Route, transaction_id: [u8; 12]) -> bool {
        self.shared
            .table
            .write()
            .install(route, transaction_id, &self.shared.punts)
    }

    pub fn remove(&self, source: &Leg) -> Option<Counters> {
        self.shared.table.write().remove(source)
    }

    /// The threads are waited for once, however many sessions there are.
    pub fn remove_sessions(&self, session_ids: &[String]) -> Vec<(Leg, Counters)> {
        let mut table = self.shared.table.write();
        let sessions = session_ids.iter();
        sessions
            .flat_map(|session_id| table.remove_session(session_id))
            .collect()
    }

    pub fn remove_all(&self) -> Vec<(Leg, Counters)> {
        // The lock is let go of at the end of the statement, the rows are read and freed after it.
        let removed = self.shared.table.write().remove_all();
        removed.counters()
    }

    pub fn set_limit(&self, limiter_id: String, settings: Option<LimiterSettings>) {
        self.shared.table.write().set_limit(limiter_id, settings);
    }

    pub fn counters(&self, session_id: &str) -> Vec<(Leg, Counters)> {
        self.shared.table.read().counters(session_id)
    }

    pub fn totals(&self) -> Counters {
        self.shared.table.read().totals()
    }

    pub fn plane_counters(&self) -> PlaneCounters {
        self.shared.counters()
    }

    /// Control's reply to a UDP client.
    pub fn send(&self, five_tuple: &FiveTuple, datagram: &[u8]) {
        let listener = self
            .listeners
            .iter()
            .position(|address| *address == five_tuple.server);
        if self.shared.stopping.load(Ordering::Acquire) {
            return;
        }
        if listener
            .is_some_and(|listener| !self.shared.send_from(listener, five_tuple.client, datagram))
        {
            self.shared.send_failed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A payload that control took out of a punted datagram.
    pub fn forward(&self, source: &Leg, payload: &[u8]) {
        let now = monotonic_nanoseconds();
        let table = self.shared.table.read();
        if let Some(row) = table.row_of(source).filter(|row| row.admits(payload, now)) {
            self.shared.send_by(row, payload, now);
        }
    }

    /// A message of a stream client, as a datagram that has arrived. Whoever brings it is not at work on punts.
    pub fn inject(&self, five_tuple: FiveTuple, message: &[u8]) {
        self.shared.punts.settle();
        let now = monotonic_nanoseconds();
        let table = self.shared.table.read();
        let leg = channel_of(message).map(|channel| Leg {
            five_tuple,
            form: Form::Channel(channel),
        });
        match leg
            .and_then(|leg| table.row_of(&leg))
            .filter(|row| !row.flow.waits())
        {
            None => {
                let flow = table.flow(&five_tuple);
                if let Some(admission) = self.shared.punts.admit(five_tuple, flow, message, now) {
                    self.shared.punt(admission, message);
                }
            }
            Some(row) => match ChannelData::of(message).payload {
                None => row.dropped(DropReason::Class, 1),
                Some(payload) if row.admits(payload, now) => self.shared.send_by(row, payload, now),
                Some(_) => {}
            },
        }
    }

    /// An eventfd, readable when there may be punts.
    pub fn punts_descriptor(&self) -> RawFd {
        self.shared.punts_wake.descriptor()
    }

    pub fn take_punts(&self, most: usize) -> Vec<Punt> {
        self.shared.punts.take(most)
    }

    /// Control has dealt with the punts it took.
    pub fn settle_punts(&self) {
        self.shared.punts.settle();
    }

    /// An eventfd, readable when there may be something for stream clients.
    pub fn egress_descriptor(&self) -> RawFd {
        self.shared.egress_wake.descriptor()
    }

    pub fn take_egress(&self, most: usize) -> Vec<Egress> {
        self.shared.egress.take(most)
    }

    pub fn pause(&self, five_tuple: FiveTuple) {
        self.shared.egress.pause(five_tuple);
    }

    pub fn resume(&self, five_tuple: &FiveTuple) {
        self.shared.egress.resume(five_tuple);
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        self.stop();
    }
}
