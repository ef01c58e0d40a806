//! Datagrams received and sent in batches (recvmmsg, sendmmsg) by one IPv4 socket, and the clocks.
//!
//! A socket on 0.0.0.0 stands for many clients: each datagram leaves from an address of 127.0.0.0/8 of its own
//! (IP_PKTINFO), and every one that arrives tells which it was sent to. So a generator of thousands of flows, one
//! datagram of each after the other, needs no more system calls than the relay it measures.

mod inbox;
mod outbox;

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::{AsRawFd, RawFd};

use socket2::{Domain, Protocol, Type};

pub use inbox::{Arrival, Inbox};
pub use outbox::{Departure, Outbox};

/// What one recvmmsg or sendmmsg moves at most.
pub const BATCH: usize = 64;
/// No datagram here is longer: no path on the way to a browser carries more.
pub const MAX_DATAGRAM: usize = 1_500;

/// Words of the control messages of one datagram: in_pktinfo, and a timespec.
const CONTROL_WORDS: usize = 10;

pub struct Socket(socket2::Socket);

impl Socket {
    /// Bound to one address; or to 0.0.0.0, to be many clients.
    pub fn bind(address: SocketAddrV4, buffer_bytes: usize) -> io::Result<Self> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_recv_buffer_size(buffer_bytes)?;
        socket.set_send_buffer_size(buffer_bytes)?;
        socket.bind(&address.into())?;
        let socket = Self(socket);
        if address.ip().is_unspecified() {
            socket.turn_on(libc::IPPROTO_IP, libc::IP_PKTINFO)?;
        }
        Ok(socket)
    }

    /// Tell of each datagram when it came to the host: when its sender's system call took place.
    pub fn tell_times(&self) -> io::Result<()> {
        self.turn_on(libc::SOL_SOCKET, libc::SO_TIMESTAMPNS)
    }

    pub fn address(&self) -> io::Result<SocketAddrV4> {
        let address = self.0.local_addr()?.as_socket_ipv4();
        address.ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    fn turn_on(&self, level: libc::c_int, option: libc::c_int) -> io::Result<()> {
        let on: libc::c_int = 1;
        // SAFETY: the option's value is an int that outlives the call, and its size is told.
        let done = unsafe {
            libc::setsockopt(
                self.descriptor(),
                level,
                option,
                (&raw const on).cast(),
                size_of_val(&on) as libc::socklen_t,
            )
        };
        if done == 0 {
            Ok(())
        } else {
            Err(io::Error::last_os_error())
        }
    }

    fn descriptor(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// CLOCK_MONOTONIC.
pub fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a timespec that the call may write; this clock exists on every Linux.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    nanoseconds(&now)
}

fn nanoseconds(time: &libc::timespec) -> u64 {
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000
        + u64::try_from(time.tv_nsec).unwrap_or(0)
}
