//! Datagrams sent in batches (sendmmsg), those of one destination and size as segments of one message.

use std::io::{self, IoSlice};
use std::ops::Range;

use crate::socket::{Destination, Socket};

pub const MAX_SEGMENTS: usize = 64;
/// What fits any path with the headers of IPv6 and UDP; larger datagrams go alone.
pub const MAX_SEGMENT_BYTES: usize = 1232;
/// Words of one control message that holds a u16: a header of 16 bytes and 8 for the value.
const CONTROL_WORDS: usize = 3;

/// Datagrams for one destination, all of the size of the first but the last, which may be shorter.
pub struct Outgoing<'a> {
    pub to: &'a Destination,
    /// One slice a datagram.
    pub datagrams: &'a [IoSlice<'a>],
}

/// Room for the headers of a batch.
#[derive(Default)]
pub struct Outbox {
    headers: Vec<libc::mmsghdr>,
    controls: Vec<[u64; CONTROL_WORDS]>,
}

impl Outbox {
    /// Send it all, in order. `done` is told, by the index of the message and the datagrams of it, what the system
    /// took and what not.
    ///
    /// Never waits: what finds the socket's buffer full is lost, and so is the rest of the batch.
    pub fn send(
        &mut self,
        socket: &Socket,
        messages: &[Outgoing<'_>],
        mut done: impl FnMut(usize, Range<usize>, bool),
    ) {
        self.prepare(messages);
        let mut at = 0;
        while let (Some(left), Some(message)) = (self.headers.get_mut(at..), messages.get(at)) {
            // SAFETY: the headers were made from `messages` and `controls`, which are borrowed until the end of
            // this function and not touched meanwhile; the call only reads through them, and writes lengths
            // into the headers.
            let sent = unsafe {
                libc::sendmmsg(
                    socket.descriptor(),
                    left.as_mut_ptr(),
                    left.len() as libc::c_uint,
                    libc::MSG_DONTWAIT,
                )
            };
            if let Some(sent) = usize::try_from(sent).ok().filter(|sent| *sent > 0) {
                for (one, message) in messages.iter().enumerate().skip(at).take(sent) {
                    done(one, 0..message.datagrams.len(), true);
                }
                at += sent;
                continue;
            }
            match io::Error::last_os_error().raw_os_error() {
                Some(libc::EINTR) => {}
                Some(libc::EAGAIN | libc::ENOBUFS) => {
                    for (one, message) in messages.iter().enumerate().skip(at) {
                        done(one, 0..message.datagrams.len(), false);
                    }
                    break;
                }
                error => {
                    if error == Some(libc::EIO) {
                        socket.no_more_segments();
                    }
                    // Without segmentation: a path narrower than the segments, or a device that cannot.
                    for (one, datagram) in message.datagrams.iter().enumerate() {
                        let alone = message.datagrams.len() == 1;
                        done(
                            at,
                            one..one + 1,
                            !alone && socket.send_to(datagram, message.to).is_ok(),
                        );
                    }
                    at += 1;
                }
            }
        }
        self.headers.clear();
    }

    fn prepare(&mut self, messages: &[Outgoing<'_>]) {
        self.headers.clear();
        self.controls.clear();
        self.controls.resize(messages.len(), [0; CONTROL_WORDS]);
        for (message, control) in messages.iter().zip(&mut self.controls) {
            // SAFETY: a plain structure of the kernel's interface, for which all zeroes is valid.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            let to = &message.to.0;
            // The kernel takes mutable pointers and writes through none of them when it sends.
            header.msg_hdr.msg_name = to.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_namelen = to.len();
            header.msg_hdr.msg_iov = message.datagrams.as_ptr().cast_mut().cast();
            header.msg_hdr.msg_iovlen = message.datagrams.len();
            if let [first, _, ..] = message.datagrams {
                header.msg_hdr.msg_control = control.as_mut_ptr().cast();
                header.msg_hdr.msg_controllen = size_of_val(control);
                segment_by(&header.msg_hdr, first.len() as u16);
            }
            self.headers.push(header);
        }
    }
}

fn segment_by(header: &libc::msghdr, bytes: u16) {
    // SAFETY: `msg_control` of the header points to CONTROL_WORDS zeroed, aligned words that are borrowed
    // exclusively by the caller: room for the one control message written here.
    unsafe {
        let control = libc::CMSG_FIRSTHDR(header);
        if let Some(message) = control.as_mut() {
            message.cmsg_level = libc::SOL_UDP;
            message.cmsg_type = libc::UDP_SEGMENT;
            message.cmsg_len = libc::CMSG_LEN(size_of::<u16>() as libc::c_uint) as libc::size_t;
            libc::CMSG_DATA(control)
                .cast::<u16>()
                .write_unaligned(bytes);
        }
    }
}
