//! One bound UDP socket.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

use socket2::{Domain, Protocol, SockAddr, Type};

/// Where datagrams go, in the form that the kernel takes.
#[derive(Clone)]
pub struct Destination(pub(crate) SockAddr);

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self(address.into())
    }
}

/// Blocking in what it receives, never in what it sends.
pub struct Socket {
    inner: socket2::Socket,
    address: SocketAddr,
    segments: AtomicBool,
}

impl Socket {
    /// Bind `count` sockets to one address, among which the kernel spreads clients by their five-tuple.
    ///
    /// The first binds as if it were to be alone, so that an address in use is told. The system may grant
    /// smaller buffers than asked for.
    pub fn bind_group(
        address: SocketAddr,
        count: usize,
        buffer_bytes: usize,
    ) -> io::Result<Vec<Self>> {
        let first = Self::bind(address, buffer_bytes, false)?;
        let address = first.address;
        let mut group = vec![first];
        for _ in 1..count.max(1) {
            if let [alone] = group.as_slice() {
                alone.inner.set_reuse_port(true)?;
            }
            group.push(Self::bind(address, buffer_bytes, true)?);
        }
        Ok(group)
    }

    fn bind(address: SocketAddr, buffer_bytes: usize, join: bool) -> io::Result<Self> {
        let inner = socket2::Socket::new(
            Domain::for_address(address),
            Type::DGRAM,
            Some(Protocol::UDP),
        )?;
        if address.is_ipv6() {
            inner.set_only_v6(true)?;
        }
        inner.set_recv_buffer_size(buffer_bytes)?;
        inner.set_send_buffer_size(buffer_bytes)?;
        inner.set_reuse_port(join)?;
        inner.bind(&address.into())?;
        let address = inner
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok(Self {
            inner,
            address,
            segments: AtomicBool::new(true),
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether messages of several datagrams are worth making: the system has taken them by this socket so far.
    pub fn takes_segments(&self) -> bool {
        self.segments.load(Ordering::Relaxed)
    }

    pub(crate) fn no_more_segments(&self) {
        self.segments.store(false, Ordering::Relaxed);
    }

    pub(crate) fn descriptor(&self) -> RawFd {
        self.inner.as_raw_fd()
    }

    /// One datagram; an error instead of waiting.
    pub fn send_to(&self, datagram: &[u8], to: &Destination) -> io::Result<()> {
        self.inner
            .send_to_with_flags(datagram, &to.0, libc::MSG_DONTWAIT)
            .map(drop)
    }

    /// Receive nothing any more: whoever waits in `Inbox::receive` is told so.
    pub fn close_receiving(&self) {
        // The error says that the socket is not connected; readers are woken all the same.
        let _ = self.inner.shutdown(Shutdown::Read);
    }
}
