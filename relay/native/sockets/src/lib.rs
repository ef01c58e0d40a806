//! UDP sockets read and written in batches (recvmmsg, sendmmsg, UDP_SEGMENT), an event to wake another thread,
//! the monotonic clock, and interface names. All unsafe code of the native relay is in this crate.
//!
//! Deliberately not here: what any byte of a datagram means.

mod address;
mod inbox;
mod outbox;
mod socket;
mod system;

pub use address::{interface_name, interface_number};
pub use inbox::Inbox;
pub use outbox::{Outbox, Outgoing, MAX_SEGMENTS, MAX_SEGMENT_BYTES};
pub use socket::{Destination, Socket};
pub use system::{monotonic_nanoseconds, WakeUp};
