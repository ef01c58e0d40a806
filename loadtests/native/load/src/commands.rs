//! What the generator is told to do, one JSON object a line, and its answers.

use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};

use crate::connect::{Clients, Task};
use crate::flood::{self, Flood};
use crate::stream_wire::StreamWire;
use crate::traffic::{self, Traffic};
use crate::udp_wire::UdpWire;
use crate::wire::Wire;
use crate::{Generate, TransportName};

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
enum Command {
    /// Have so many pairs of clients, each client with an allocation.
    Allocate {
        pairs: usize,
    },
    /// Have every client bind a channel to its partner.
    Bind,
    /// Have so many pairs that the server knows already.
    Adopt {
        pairs: usize,
    },
    Traffic(Traffic),
    Flood(Flood),
    /// Give all allocations back.
    Leave,
}

#[derive(Serialize)]
struct Took {
    seconds: f64,
    per_second: f64,
}

enum Wires {
    Udp(UdpWire),
    Streams(StreamWire),
}

impl Wires {
    fn any(&mut self) -> &mut dyn Wire {
        match self {
            Self::Udp(wire) => wire,
            Self::Streams(wire) => wire,
        }
    }
}

pub fn obey(options: &Generate) -> io::Result<()> {
    let secret = options
        .secret_file
        .as_ref()
        .map(std::fs::read)
        .transpose()?
        .unwrap_or_default();
    let mut wire = match options.transport {
        TransportName::Udp => {
            let wire = UdpWire::open(options.server, options.clients_port)?;
            answer(&serde_json::json!({ "clients_port": wire.port()? }))?;
            Wires::Udp(wire)
        }
        TransportName::Tcp | TransportName::Tls => {
            let trust =
                (options.transport == TransportName::Tls).then_some(options.trust.as_deref());
            answer(&serde_json::json!({ "clients_port": 0 }))?;
            Wires::Streams(StreamWire::new(options.server, trust)?)
        }
    };
    let mut clients = Clients::default();
    let mut phase = 0u8;
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?).map_err(io::Error::other)? {
            Command::Allocate { pairs } => {
                clients = Clients::new(2 * pairs, secret.trim_ascii());
                if let Wires::Streams(wire) = &mut wire {
                    wire.connect(2 * pairs)?;
                }
                answer(&took(Task::Allocate, &mut clients, wire.any())?)?;
            }
            Command::Bind => answer(&took(Task::Bind, &mut clients, wire.any())?)?,
            Command::Leave => answer(&took(Task::Leave, &mut clients, wire.any())?)?,
            Command::Adopt { pairs } => {
                clients = Clients::new(2 * pairs, &[]);
                answer(&serde_json::json!({}))?;
            }
            Command::Traffic(traffic) => {
                phase = phase.wrapping_add(1);
                if let (true, Wires::Udp(wire)) = (traffic.by_channel, &wire) {
                    wire.tell_times()?;
                }
                answer(&traffic::run(&traffic, phase, &mut clients, wire.any())?)?;
            }
            Command::Flood(flood) => match &mut wire {
                Wires::Udp(wire) => answer(&flood::run(&flood, wire)?)?,
                Wires::Streams(_) => return Err(io::Error::other("a flood is made of datagrams")),
            },
        }
    }
    Ok(())
}

fn took(task: Task, clients: &mut Clients, wire: &mut dyn Wire) -> io::Result<Took> {
    let seconds = clients.do_all(task, wire)?.as_secs_f64();
    Ok(Took {
        seconds,
        per_second: clients.count() as f64 / seconds,
    })
}

fn answer(value: &impl Serialize) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, value)?;
    stdout.write_all(b"\n")?;
    stdout.flush()
}
