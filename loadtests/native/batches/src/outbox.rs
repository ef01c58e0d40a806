//! Sending.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};

use crate::{Socket, BATCH, CONTROL_WORDS};

/// One datagram to send, in two parts so that what all have in common need not be copied.
#[derive(Clone, Copy)]
pub struct Departure<'a> {
    /// Unspecified for the address that the socket is bound to.
    pub from: Ipv4Addr,
    pub to: SocketAddrV4,
    pub head: &'a [u8],
    pub tail: &'a [u8],
}

/// Room for the headers of one batch.
pub struct Outbox {
    names: Vec<libc::sockaddr_in>,
    controls: Vec<[u64; CONTROL_WORDS]>,
    vectors: Vec<[libc::iovec; 2]>,
    headers: Vec<libc::mmsghdr>,
}

impl Default for Outbox {
    fn default() -> Self {
        // SAFETY: all three are plain structures of the kernel's interface, for which all zeroes is valid.
        let (name, vector, header): (libc::sockaddr_in, libc::iovec, libc::mmsghdr) =
            unsafe { (std::mem::zeroed(), std::mem::zeroed(), std::mem::zeroed()) };
        Self {
            names: vec![name; BATCH],
            controls: vec![[0; CONTROL_WORDS]; BATCH],
            vectors: vec![[vector; 2]; BATCH],
            headers: vec![header; BATCH],
        }
    }
}

impl Outbox {
    /// Send a batch, at most BATCH of them, in order: how many the system took. It never waits.
    pub fn send(&mut self, socket: &Socket, departures: &[Departure<'_>]) -> io::Result<usize> {
        let places = self.names.iter_mut().zip(&mut self.controls);
        let headers = self.vectors.iter_mut().zip(&mut self.headers);
        let mut prepared = 0;
        for (departure, ((name, control), (vectors, header))) in
            departures.iter().zip(places.zip(headers))
        {
            name.sin_family = libc::AF_INET as libc::sa_family_t;
            name.sin_addr.s_addr = u32::from(*departure.to.ip()).to_be();
            name.sin_port = departure.to.port().to_be();
            // The kernel takes mutable pointers and writes through none of them when it sends.
            for (vector, part) in vectors.iter_mut().zip([departure.head, departure.tail]) {
                vector.iov_base = part.as_ptr().cast_mut().cast();
                vector.iov_len = part.len();
            }
            header.msg_hdr.msg_name = (&raw mut *name).cast();
            header.msg_hdr.msg_namelen = size_of_val(name) as libc::socklen_t;
            header.msg_hdr.msg_iov = vectors.as_mut_ptr();
            header.msg_hdr.msg_iovlen = vectors.len();
            header.msg_hdr.msg_control = std::ptr::null_mut();
            header.msg_hdr.msg_controllen = 0;
            if !departure.from.is_unspecified() {
                leave_from(&mut header.msg_hdr, control, departure.from);
            }
            prepared += 1;
        }
        // SAFETY: the headers up to `prepared` were made above from what is borrowed until the end of this function;
        // the call only reads through them, and writes lengths into the headers.
        let sent = unsafe {
            libc::sendmmsg(
                socket.descriptor(),
                self.headers.as_mut_ptr(),
                prepared as libc::c_uint,
                libc::MSG_DONTWAIT,
            )
        };
        usize::try_from(sent).or_else(|_| match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            error if error.raw_os_error() == Some(libc::ENOBUFS) => Ok(0),
            error => Err(error),
        })
    }
}

fn leave_from(header: &mut libc::msghdr, room: &mut [u64; CONTROL_WORDS], from: Ipv4Addr) {
    header.msg_control = room.as_mut_ptr().cast();
    // SAFETY: `room` is aligned for a control message, exclusively borrowed, and larger than the one written here, to
    // whose size the length is set.
    unsafe {
        header.msg_controllen = libc::CMSG_SPACE(size_of::<libc::in_pktinfo>() as u32) as usize;
        let control = libc::CMSG_FIRSTHDR(header);
        (*control).cmsg_level = libc::IPPROTO_IP;
        (*control).cmsg_type = libc::IP_PKTINFO;
        (*control).cmsg_len = libc::CMSG_LEN(size_of::<libc::in_pktinfo>() as u32) as usize;
        let info = libc::in_pktinfo {
            ipi_ifindex: 0,
            ipi_spec_dst: libc::in_addr {
                s_addr: u32::from(from).to_be(),
            },
            ipi_addr: libc::in_addr { s_addr: 0 },
        };
        libc::CMSG_DATA(control)
            .cast::<libc::in_pktinfo>()
            .write_unaligned(info);
    }
}
