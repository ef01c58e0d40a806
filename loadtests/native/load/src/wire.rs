//! How messages of many clients reach the server and come back, whatever the transport.

use std::io;

#[derive(Clone, Copy)]
pub struct Parcel<'a> {
    pub client: usize,
    pub head: &'a [u8],
    pub tail: &'a [u8],
}

pub struct Arrived<'a> {
    pub client: usize,
    /// CLOCK_REALTIME in nanoseconds when it came to this host; 0 if the wire does not tell.
    pub at_nanoseconds: u64,
    pub message: &'a [u8],
}

pub trait Wire {
    /// Send a batch in order, without waiting: how many of it were taken.
    fn send(&mut self, parcels: &[Parcel<'_>]) -> io::Result<usize>;

    /// Hand over what has come, without waiting: how many messages.
    fn receive(&mut self, arrived: &mut dyn FnMut(Arrived<'_>)) -> io::Result<usize>;
}
