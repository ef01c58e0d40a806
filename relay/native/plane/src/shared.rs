//! What the threads of a plane and control share.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::RwLock;
use turngate_rows::{
    Admission, DropReason, EgressQueue, PuntCounters, PuntQueue, Put, Row, StreamTarget, Table,
    Target,
};
use turngate_sockets::{Destination, Socket, WakeUp};

/// What happened to datagrams without a row, and what went wrong.
pub struct PlaneCounters {
    pub punts: PuntCounters,
    pub egress_refused: u64,
    pub send_failed: u64,
    /// Batches given up because of a defect.
    pub faults: u64,
}

pub(crate) struct Shared {
    pub(crate) table: RwLock<Table>,
    pub(crate) punts: PuntQueue,
    pub(crate) punts_wake: WakeUp,
    pub(crate) egress: EgressQueue,
    pub(crate) egress_wake: WakeUp,
    /// By listener, the sockets by which control sends; none once the plane has stopped.
    pub(crate) answering: RwLock<Vec<Arc<Socket>>>,
    pub(crate) stopping: AtomicBool,
    pub(crate) send_failed: AtomicU64,
    pub(crate) faults: AtomicU64,
}

impl Shared {
    /// Whether the system took it; never waits.
    pub(crate) fn send_from(&self, listener: usize, client: SocketAddr, datagram: &[u8]) -> bool {
        let answering = self.answering.read();
        let to = Destination::from(client);
        answering
            .get(listener)
            .is_some_and(|socket| socket.send_to(datagram, &to).is_ok())
    }

    pub(crate) fn punt(&self, admission: Admission, datagram: &[u8]) {
        if self.punts.put(admission, datagram) == Put::QueuedFirst {
            self.punts_wake.wake();
        }
    }

    /// By a row, at once: what comes one at a time.
    pub(crate) fn send_by(&self, row: &Row, payload: &[u8], now: u64) {
        let framed = row.framed(payload);
        match &row.target {
            Target::Stream(target) => {
                self.queue_for_stream(row, target, framed, payload.len(), now)
            }
            Target::Datagram { listener, client } => {
                let sent = self.send_from(*listener, *client, &framed);
                count(row, sent, 1, payload.len(), now);
            }
        }
    }

    pub(crate) fn queue_for_stream(
        &self,
        row: &Row,
        target: &Arc<StreamTarget>,
        framed: Vec<u8>,
        payload_bytes: usize,
        now: u64,
    ) {
        let put = self.egress.put(target, framed);
        if put == Put::QueuedFirst {
            self.egress_wake.wake();
        }
        count(row, put != Put::Refused, 1, payload_bytes, now);
    }

    pub(crate) fn counters(&self) -> PlaneCounters {
        PlaneCounters {
            punts: self.punts.counters(),
            egress_refused: self.egress.refused(),
            send_failed: self.send_failed.load(Ordering::Relaxed),
            faults: self.faults.load(Ordering::Relaxed),
        }
    }
}

pub(crate) fn count(row: &Row, sent: bool, packets: usize, payload_bytes: usize, now: u64) {
    if sent {
        row.passed(packets as u64, payload_bytes as u64, now);
    } else {
        row.dropped(DropReason::SendFailed, packets as u64);
    }
}
