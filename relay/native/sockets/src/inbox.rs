//! Datagrams received in batches (recvmmsg).

use std::io;
use std::net::SocketAddr;

use crate::address::source_of;
use crate::socket::Socket;

const MAX_DATAGRAM: usize = 65_536;
/// More than the largest datagram, so that the beginnings of buffers do not share cache sets.
const STRIDE: usize = MAX_DATAGRAM + 192;

/// Room for one batch. It stays with the thread that made it.
pub struct Inbox {
    buffers: Vec<u8>,
    names: Vec<libc::sockaddr_storage>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

impl Inbox {
    pub fn new(datagrams: usize) -> Self {
        // SAFETY: all three are plain structures of the kernel's interface, for which all zeroes is valid.
        let (name, vector, header): (libc::sockaddr_storage, libc::iovec, libc::mmsghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            buffers: vec![0; STRIDE * datagrams],
            names: vec![name; datagrams],
            vectors: vec![vector; datagrams],
            headers: vec![header; datagrams],
        }
    }

    /// Wait for a datagram, then take as many as there are: how many. Once receiving was closed it waits for
    /// nothing, and what it then says was received is nothing that was sent.
    pub fn receive(&mut self, socket: &Socket) -> io::Result<usize> {
        let parts = self.buffers.chunks_exact_mut(STRIDE).zip(&mut self.names);
        for (((buffer, name), vector), header) in
            parts.zip(&mut self.vectors).zip(&mut self.headers)
        {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = MAX_DATAGRAM;
            header.msg_hdr.msg_name = (name as *mut libc::sockaddr_storage).cast();
            header.msg_hdr.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header points to a buffer, a name and a vector of this inbox, made anew above from
        // exclusive borrows; they are not moved or looked at during the call, which keeps no pointer.
        let received = unsafe {
            libc::recvmmsg(
                socket.descriptor(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_WAITFORONE,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(received).map_err(|_| io::Error::last_os_error())
    }

    /// The datagram at this place of the last batch, and who sent it.
    pub fn datagram(&mut self, at: usize) -> Option<(&mut [u8], SocketAddr)> {
        let source = source_of(self.names.get(at)?)?;
        let length = self.headers.get(at)?.msg_len as usize;
        let buffer = self.buffers.get_mut(at * STRIDE..at * STRIDE + length)?;
        Some((buffer, source))
    }

    /// Some bytes of the datagram at this place.
    pub fn part(&self, at: usize, length: usize) -> &[u8] {
        self.buffers
            .get(at * STRIDE..at * STRIDE + length)
            .unwrap_or_default()
    }
}
