//! What the native plane knows and decides: rows and what they let pass, limiters, what waits for control and for
//! stream clients. The same words as `relay/vocabulary.py`, and the same decisions as the portable plane.
//!
//! Deliberately not here: sockets, clocks, threads. Time is an argument, in nanoseconds of a monotonic clock.
//! What several threads share has its own lock or is atomic.
#![forbid(unsafe_code)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)
)]

mod class;
mod egress;
mod framing;
mod limiter;
mod network;
mod punts;
mod row;
mod table;
mod vocabulary;

pub use egress::{Egress, EgressBounds, EgressQueue, Put, StreamTarget};
pub use framing::{channel_of, ChannelData};
pub use punts::{Admission, Punt, PuntBounds, PuntCounters, PuntQueue};
pub use row::{Counters, Row, Target};
pub use table::{Flow, RemovedRows, Table};
pub use vocabulary::{DropReason, FiveTuple, Form, Leg, LimiterSettings, Route, Transport};
