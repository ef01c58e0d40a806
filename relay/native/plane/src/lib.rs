//! The native forwarding plane: one thread for each socket, all reading one table.
//!
//! A thread receives a batch, then reads the table until the last datagram of it has left. Whoever changes the
//! table waits for that and no longer: when `remove` returns, nothing can leave by the old row.
//! A fault while a batch is carried costs that batch and is counted; the thread goes on.
#![forbid(unsafe_code)]

mod batch;
mod plane;
mod shared;

pub use plane::Plane;
pub use shared::PlaneCounters;
