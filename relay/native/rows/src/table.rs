//! All rows, and by what a datagram finds its own.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use parking_lot::Mutex;
use slab::Slab;

use crate::class::PayloadTypes;
use crate::egress::StreamTarget;
use crate::framing::indication_head;
use crate::limiter::{Bucket, Limiter};
use crate::punts::PuntQueue;
use crate::row::{Counters, Framing, Row, Tally, Target};
use crate::vocabulary::{FiveTuple, Form, Leg, LimiterSettings, Route, Transport};

/// What is known of a five-tuple that owns an allocation or has rows.
pub struct Flow {
    pub number: u64,
    owned: AtomicBool,
    waiting: AtomicU32,
    bucket: Mutex<Bucket>,
}

impl Flow {
    pub(crate) fn is_owned(&self) -> bool {
        self.owned.load(Ordering::Relaxed)
    }

    pub(crate) fn take(&self, now: u64) -> bool {
        self.bucket.lock().take(now)
    }

    /// Until the hold is gone, later datagrams of this five-tuple wait.
    pub(crate) fn hold(flow: &Arc<Self>) -> Hold {
        flow.waiting.fetch_add(1, Ordering::AcqRel);
        Hold(Arc::clone(flow))
    }

    /// Whether control has still to deal with a datagram of this five-tuple: later ones wait behind it.
    pub fn waits(&self) -> bool {
        self.waiting() > 0
    }

    /// How many of its datagrams control has not dealt with.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire) as usize
    }
}

/// See `Flow::hold`.
pub(crate) struct Hold(Arc<Flow>);

impl Drop for Hold {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::AcqRel);
    }
}

#[derive(Default)]
struct Session {
    dtls_bytes: Arc<AtomicU64>,
    rows: HashSet<usize>,
}

/// What `Table::remove_all` took out, to be dropped.
pub struct RemovedRows {
    rows: Slab<Row>,
    _sessions: HashMap<String, Session>,
    _limited: HashMap<String, HashSet<usize>>,
}

impl RemovedRows {
    /// The last of every row.
    pub fn counters(&self) -> Vec<(Leg, Counters)> {
        let rows = self.rows.iter();
        rows.map(|(_, row)| (row.source, row.counters())).collect()
    }
}

/// Whoever reads it may forward by its rows until they let go of it; whoever changes it is alone with it.
#[derive(Default)]
pub struct Table {
    rows: Slab<Row>,
    by_leg: HashMap<Leg, usize>,
    by_channel: Vec<HashMap<(SocketAddr, u16), usize>>,
    listeners: HashMap<SocketAddr, usize>,
    flows: HashMap<FiveTuple, (Arc<Flow>, usize)>,
    flows_made: u64,
    sessions: HashMap<String, Session>,
    limiters: HashMap<String, Arc<Limiter>>,
    limited: HashMap<String, HashSet<usize>>,
}

impl Table {
    /// Listeners are known by their place.
    pub fn set_listeners(&mut self, addresses: &[SocketAddr]) {
        self.listeners = addresses
            .iter()
            .enumerate()
            .map(|(at, address)| (*address, at))
            .collect();
        self.by_channel = addresses.iter().map(|_| HashMap::new()).collect();
    }

    fn listener(&self, address: &SocketAddr) -> Option<usize> {
        self.listeners.get(address).copied()
    }

    /// The row of ChannelData that came to a listener.
    pub fn row_of_channel(
        &self,
        listener: usize,
        client: SocketAddr,
        channel: u16,
    ) -> Option<(usize, &Row)> {
        let at = *self.by_channel.get(listener)?.get(&(client, channel))?;
        self.rows.get(at).map(|row| (at, row))
    }

    pub fn row_of(&self, leg: &Leg) -> Option<&Row> {
        self.by_leg.get(leg).and_then(|at| self.rows.get(*at))
    }

    pub fn row_at(&self, at: usize) -> Option<&Row> {
        self.rows.get(at)
    }

    pub fn flow(&self, five_tuple: &FiveTuple) -> Option<&Arc<Flow>> {
        self.flows.get(five_tuple).map(|(flow, _)| flow)
    }

    pub fn own(&mut self, five_tuple: FiveTuple, punts: &PuntQueue) {
        let flow = self.use_flow(five_tuple, punts);
        if flow.owned.swap(true, Ordering::Relaxed) {
            self.leave_flow(&five_tuple);
        } else {
            *flow.bucket.lock() = punts.owners_bucket();
        }
    }

    pub fn disown(&mut self, five_tuple: &FiveTuple) {
        let owned = self
            .flow(five_tuple)
            .is_some_and(|flow| flow.owned.swap(false, Ordering::Relaxed));
        if owned {
            self.leave_flow(five_tuple);
        }
    }

    /// False, and nothing is changed, when the target's listener is not there.
    pub fn install(&mut self, route: Route, transaction_id: [u8; 12], punts: &PuntQueue) -> bool {
        let to = route.target.five_tuple;
        let target = match to.transport {
            Transport::Udp => match self.listener(&to.server) {
                Some(listener) => Target::Datagram {
                    listener,
                    client: to.client,
                },
                None => return false,
            },
            _ => Target::Stream(Arc::new(StreamTarget {
                five_tuple: to,
                removed: AtomicBool::new(false),
            })),
        };
        let flow = self.use_flow(route.source.five_tuple, punts);
        let old = self.take_out(&route.source);
        let session = self.sessions.entry(route.session_id.clone()).or_default();
        let framing = match route.target.form {
            Form::Channel(channel) => Framing::Channel(channel),
            Form::Peer(peer) => Framing::Indication(indication_head(peer, transaction_id)),
        };
        let mut row = Row {
            target,
            flow,
            longest_payload: framing.longest_payload(),
            framing,
            types: route
                .payload_types
                .map(|types| PayloadTypes::new(&types, &route.audio_payload_types)),
            limiters: Vec::new(),
            dtls_bytes: Arc::clone(&session.dtls_bytes),
            dtls_budget_bytes: route.dtls_budget_bytes,
            tally: Tally::default(),
            source: route.source,
            session_id: route.session_id,
            limiter_ids: route.limiter_ids,
        };
        if let Some(old) = old {
            row.continue_from(old.counters());
            if let (Target::Stream(new), Target::Stream(former)) = (&row.target, &old.target) {
                if new.five_tuple == former.five_tuple {
                    // What waits of the old row is the new one's now, and goes when that goes.
                    former.removed.store(false, Ordering::Release);
                    row.target = old.target;
                }
            }
        }
        use_limiters(&mut row, &self.limiters);
        let source = row.source;
        let at = self.rows.insert(row);
        session.rows.insert(at);
        for limiter_id in self
            .rows
            .get(at)
            .into_iter()
            .flat_map(|row| &row.limiter_ids)
        {
            self.limited
                .entry(limiter_id.clone())
                .or_default()
                .insert(at);
        }
        self.by_leg.insert(source, at);
        if let Some((channels, key)) = channel_key(&mut self.by_channel, &self.listeners, &source) {
            channels.insert(key, at);
        }
        true
    }

    pub fn remove(&mut self, source: &Leg) -> Option<Counters> {
        self.take_out(source).map(|row| row.counters())
    }

    pub fn remove_session(&mut self, session_id: &str) -> Vec<(Leg, Counters)> {
        let rows = self.sessions.remove(session_id).unwrap_or_default().rows;
        let sources: Vec<Leg> = rows
            .iter()
            .filter_map(|at| self.rows.get(*at))
            .map(|row| row.source)
            .collect();
        let removed = sources
            .iter()
            .filter_map(|source| Some((*source, self.remove(source)?)));
        removed.collect()
    }

    /// Nothing leads to the rows any more. To read and to free so many takes longer than to take them out: it is left
    /// to the caller, once nobody waits for the table.
    pub fn remove_all(&mut self) -> RemovedRows {
        for channels in &mut self.by_channel {
            channels.clear();
        }
        self.by_leg.clear();
        let removed = RemovedRows {
            rows: std::mem::take(&mut self.rows),
            _sessions: std::mem::take(&mut self.sessions),
            _limited: std::mem::take(&mut self.limited),
        };
        for (_, row) in &removed.rows {
            if let Target::Stream(target) = &row.target {
                target.removed.store(true, Ordering::Release);
            }
            self.leave_flow(&row.source.five_tuple);
        }
        removed
    }

    pub fn set_limit(&mut self, limiter_id: String, settings: Option<LimiterSettings>) {
        let limiter = settings.map(|settings| Arc::new(Limiter::new(settings)));
        match limiter {
            Some(limiter) => self.limiters.insert(limiter_id.clone(), limiter),
            None => self.limiters.remove(&limiter_id),
        };
        for at in self.limited.get(&limiter_id).into_iter().flatten() {
            if let Some(row) = self.rows.get_mut(*at) {
                use_limiters(row, &self.limiters);
            }
        }
    }

    pub fn counters(&self, session_id: &str) -> Vec<(Leg, Counters)> {
        let rows = self
            .sessions
            .get(session_id)
            .into_iter()
            .flat_map(|session| &session.rows);
        let rows = rows.filter_map(|at| self.rows.get(*at));
        rows.map(|row| (row.source, row.counters())).collect()
    }

    /// The sum over all rows.
    pub fn totals(&self) -> Counters {
        self.rows
            .iter()
            .fold(Counters::default(), |mut sum, (_, row)| {
                sum.add(&row.counters());
                sum
            })
    }

    /// All that refers to the row goes before the row does: nothing ever leads to a place that has another one.
    fn take_out(&mut self, source: &Leg) -> Option<Row> {
        let at = self.by_leg.remove(source)?;
        if let Some((channels, key)) = channel_key(&mut self.by_channel, &self.listeners, source) {
            channels.remove(&key);
        }
        let row = self.rows.get(at)?;
        if let Target::Stream(target) = &row.target {
            target.removed.store(true, Ordering::Release);
        }
        if let Some(session) = self.sessions.get_mut(&row.session_id) {
            session.rows.remove(&at);
        }
        for limiter_id in &row.limiter_ids {
            if let Some(limited) = self.limited.get_mut(limiter_id) {
                limited.remove(&at);
                if limited.is_empty() {
                    self.limited.remove(limiter_id);
                }
            }
        }
        let row = self.rows.try_remove(at);
        self.leave_flow(&source.five_tuple);
        row
    }

    fn use_flow(&mut self, five_tuple: FiveTuple, punts: &PuntQueue) -> Arc<Flow> {
        let made = &mut self.flows_made;
        let (flow, users) = self.flows.entry(five_tuple).or_insert_with(|| {
            *made += 1;
            let flow = Flow {
                number: *made,
                owned: AtomicBool::new(false),
                waiting: AtomicU32::new(0),
                bucket: Mutex::new(punts.owners_bucket()),
            };
            (Arc::new(flow), 0)
        });
        *users += 1;
        Arc::clone(flow)
    }

    fn leave_flow(&mut self, five_tuple: &FiveTuple) {
        if let Some((_, users)) = self.flows.get_mut(five_tuple) {
            *users -= 1;
            if *users == 0 {
                self.flows.remove(five_tuple);
            }
        }
    }
}

fn use_limiters(row: &mut Row, limiters: &HashMap<String, Arc<Limiter>>) {
    row.limiters = row
        .limiter_ids
        .iter()
        .filter_map(|id| limiters.get(id).cloned())
        .collect();
}

type Channels = HashMap<(SocketAddr, u16), usize>;

/// By what a listener knows a row; None when it is no datagram that names the row.
fn channel_key<'a>(
    by_channel: &'a mut [Channels],
    listeners: &HashMap<SocketAddr, usize>,
    source: &Leg,
) -> Option<(&'a mut Channels, (SocketAddr, u16))> {
    let Form::Channel(channel) = source.form else {
        return None;
    };
    if source.five_tuple.transport != Transport::Udp {
        return None;
    }
    let channels = by_channel.get_mut(*listeners.get(&source.five_tuple.server)?)?;
    Some((channels, (source.five_tuple.client, channel)))
}
