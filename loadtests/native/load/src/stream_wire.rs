//! A TCP or TLS connection for every client.

use std::io::{self, Read, Write};
use std::net::{SocketAddrV4, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mio::{Events, Interest, Poll, Token};
use rustls::pki_types::{pem::PemObject, CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::wire::{Arrived, Parcel, Wire};

const HEAD: usize = 4;
const STUN_HEAD: usize = 20;
/// What a connection holds back at most before it takes no more.
const MOST_HELD_BYTES: usize = 64 * 1024;
const READ_BYTES: usize = 64 * 1024;

pub struct StreamWire {
    server: SocketAddrV4,
    tls: Option<Arc<ClientConfig>>,
    poll: Poll,
    events: Events,
    streams: Vec<Stream>,
    room: Vec<u8>,
}

struct Stream {
    socket: mio::net::TcpStream,
    tls: Option<ClientConnection>,
    /// Received, and not yet a whole message.
    unread: Vec<u8>,
    /// Taken, and not yet by the system.
    unsent: Vec<u8>,
}

impl StreamWire {
    /// TLS if there is somebody to trust.
    pub fn new(server: SocketAddrV4, trust: Option<Option<&Path>>) -> io::Result<Self> {
        let tls = trust
            .map(|file| config(file.ok_or_else(|| io::Error::other("TLS needs --trust"))?))
            .transpose()?;
        Ok(Self {
            server,
            tls,
            poll: Poll::new()?,
            events: Events::with_capacity(1_024),
            streams: Vec::new(),
            room: vec![0; READ_BYTES],
        })
    }

    pub fn connect(&mut self, clients: usize) -> io::Result<()> {
        self.streams.clear();
        for client in 0..clients {
            let mut socket = TcpStream::connect(self.server)?;
            socket.set_nodelay(true)?;
            let mut tls = None;
            if let Some(config) = &self.tls {
                let name = ServerName::IpAddress((*self.server.ip()).into());
                let mut session =
                    ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
                while session.is_handshaking() {
                    session.complete_io(&mut socket)?;
                }
                tls = Some(session);
            }
            socket.set_nonblocking(true)?;
            let mut socket = mio::net::TcpStream::from_std(socket);
            self.poll
                .registry()
                .register(&mut socket, Token(client), Interest::READABLE)?;
            self.streams.push(Stream {
                socket,
                tls,
                unread: Vec::new(),
                unsent: Vec::new(),
            });
        }
        Ok(())
    }
}

fn config(trust: &Path) -> io::Result<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(trust).map_err(io::Error::other)? {
        roots
            .add(certificate.map_err(io::Error::other)?)
            .map_err(io::Error::other)?;
    }
    Ok(Arc::new(
        ClientConfig::builder()
            .with_root_certificates(roots)
            .with_no_client_auth(),
    ))
}

impl Wire for StreamWire {
    fn send(&mut self, parcels: &[Parcel<'_>]) -> io::Result<usize> {
        for (taken, parcel) in parcels.iter().enumerate() {
            let stream = &mut self.streams[parcel.client];
            stream.flush()?;
            if stream.unsent.len() > MOST_HELD_BYTES {
                return Ok(taken);
            }
            match &mut stream.tls {
                None => {
                    stream.unsent.extend(parcel.head);
                    stream.unsent.extend(parcel.tail);
                }
                Some(tls) => {
                    let message = [parcel.head, parcel.tail].concat();
                    tls.writer().write_all(&message)?;
                    while tls.wants_write() {
                        tls.write_tls(&mut stream.unsent)?;
                    }
                }
            }
            stream.flush()?;
        }
        Ok(parcels.len())
    }

    fn receive(&mut self, arrived: &mut dyn FnMut(Arrived<'_>)) -> io::Result<usize> {
        self.poll.poll(&mut self.events, Some(Duration::ZERO))?;
        let mut messages = 0;
        for event in &self.events {
            let client = event.token().0;
            let stream = &mut self.streams[client];
            stream.flush()?;
            stream.read(&mut self.room)?;
            let mut rest = stream.unread.as_slice();
            while let Some(length) = length_of(rest).filter(|length| *length <= rest.len()) {
                let (message, after) = rest.split_at(length);
                arrived(Arrived {
                    client,
                    at_nanoseconds: 0,
                    message,
                });
                messages += 1;
                rest = after;
            }
            let read = stream.unread.len() - rest.len();
            stream.unread.drain(..read);
        }
        Ok(messages)
    }
}

impl Stream {
    fn flush(&mut self) -> io::Result<()> {
        while !self.unsent.is_empty() {
            match self.socket.write(&self.unsent) {
                Ok(written) => drop(self.unsent.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Until there is nothing more, which is when the system will tell of more again.
    fn read(&mut self, room: &mut [u8]) -> io::Result<()> {
        loop {
            let count = match self.socket.read(room) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let Some(tls) = &mut self.tls else {
                self.unread.extend(&room[..count]);
                continue;
            };
            let mut cipher = &room[..count];
            while !cipher.is_empty() {
                tls.read_tls(&mut cipher)?;
                tls.process_new_packets().map_err(io::Error::other)?;
                match tls.reader().read_to_end(&mut self.unread) {
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            }
        }
    }
}

/// Of the message that begins here, with its padding; None if its head is not all there.
fn length_of(bytes: &[u8]) -> Option<usize> {
    let length = usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?]));
    Some(match bytes.first()? {
        0x40..=0x7F => HEAD + length.next_multiple_of(4),
        _ => STUN_HEAD + length,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_its_head_says() {
        assert_eq!(length_of(&[0x40, 0, 0]), None);
        assert_eq!(length_of(&[0x40, 0, 0, 5]), Some(12));
        assert_eq!(length_of(&[0x01, 0x13, 0, 8]), Some(28));
    }
}
