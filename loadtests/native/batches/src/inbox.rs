//! Receiving.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{nanoseconds, Socket, BATCH, CONTROL_WORDS, MAX_DATAGRAM};

/// Room for one batch, whose pointers into itself are made anew for every call.
pub struct Inbox {
    buffers: Vec<[u8; MAX_DATAGRAM]>,
    names: Vec<libc::sockaddr_in>,
    controls: Vec<[u64; CONTROL_WORDS]>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

/// One datagram of the last batch.
pub struct Arrival<'a> {
    pub from: SocketAddrV4,
    /// The address it was sent to; unspecified if the socket is bound to one.
    pub to: Ipv4Addr,
    /// CLOCK_REALTIME, when it came to the host; 0 if the socket does not tell times.
    pub at_nanoseconds: u64,
    pub datagram: &'a mut [u8],
}

impl Default for Inbox {
    fn default() -> Self {
        // SAFETY: all three are plain structures of the kernel's interface, for which all zeroes is valid.
        let (name, vector, header): (libc::sockaddr_in, libc::iovec, libc::mmsghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            buffers: vec![[0; MAX_DATAGRAM]; BATCH],
            names: vec![name; BATCH],
            controls: vec![[0; CONTROL_WORDS]; BATCH],
            vectors: vec![vector; BATCH],
            headers: vec![header; BATCH],
        }
    }
}

impl Inbox {
    /// Take what there is, at most a batch: how many. `wait` for the first one, or else 0 if there is none.
    pub fn receive(&mut self, socket: &Socket, wait: bool) -> io::Result<usize> {
        let places = self
            .buffers
            .iter_mut()
            .zip(&mut self.names)
            .zip(&mut self.controls);
        let headers = self.vectors.iter_mut().zip(&mut self.headers);
        for (((buffer, name), control), (vector, header)) in places.zip(headers) {
            vector.iov_base = buffer.as_mut_ptr().cast();
            vector.iov_len = buffer.len();
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of_val(name) as libc::socklen_t;
            header.msg_hdr.msg_control = control.as_mut_ptr().cast();
            header.msg_hdr.msg_controllen = size_of_val(control);
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
        }
        let flags = if wait {
            libc::MSG_WAITFORONE
        } else {
            libc::MSG_DONTWAIT
        };
        // SAFETY: every header points to places of this inbox, made anew above from exclusive borrows, with their
        // sizes; they are not moved or looked at during the call, which keeps no pointer.
        let received = unsafe {
            libc::recvmmsg(
                socket.descriptor(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                flags,
                std::ptr::null_mut(),
            )
        };
        usize::try_from(received).or_else(|_| match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            error if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            error => Err(error),
        })
    }

    pub fn arrival(&mut self, at: usize) -> Arrival<'_> {
        let header = &self.headers[at];
        let name = &self.names[at];
        let (to, at_nanoseconds) = told(&header.msg_hdr);
        Arrival {
            from: SocketAddrV4::new(
                u32::from_be(name.sin_addr.s_addr).into(),
                u16::from_be(name.sin_port),
            ),
            to,
            at_nanoseconds,
            datagram: &mut self.buffers[at][..header.msg_len as usize],
        }
    }

    /// The datagram alone.
    pub fn bytes(&self, at: usize) -> &[u8] {
        &self.buffers[at][..self.headers[at].msg_len as usize]
    }
}

fn told(header: &libc::msghdr) -> (Ipv4Addr, u64) {
    let (mut to, mut at) = (Ipv4Addr::UNSPECIFIED, 0);
    // SAFETY: the header's control buffer is the inbox's own, filled by the kernel, which set its length; the
    // macros walk no further than that, and each value read is of the type that its level and kind say.
    unsafe {
        let mut one = libc::CMSG_FIRSTHDR(header);
        while let Some(control) = one.as_ref() {
            let value = libc::CMSG_DATA(one);
            match (control.cmsg_level, control.cmsg_type) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let info = value.cast::<libc::in_pktinfo>().read_unaligned();
                    to = u32::from_be(info.ipi_addr.s_addr).into();
                }
                (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) => {
                    at = nanoseconds(&value.cast::<libc::timespec>().read_unaligned());
                }
                _ => {}
            }
            one = libc::CMSG_NXTHDR(header, one);
        }
    }
    (to, at)
}
