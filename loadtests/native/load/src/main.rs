//! `turngate-load generate` and `turngate-load switch`: what relays are measured with, and against.
#![forbid(unsafe_code)]

mod arrivals;
mod clients;
mod commands;
mod connect;
mod flood;
mod schedule;
mod stream_wire;
mod stun;
mod switch;
mod traffic;
mod udp_wire;
mod wire;

use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

#[derive(Parser)]
#[command(about)]
enum Tool {
    /// Do as the commands on stdin say, one JSON object a line; answer each with a JSON line.
    Generate(Generate),
    /// The least a relay can do: recvmmsg, one look into a table, sendmmsg. It ends with its stdin.
    Switch {
        #[arg(long)]
        listen: SocketAddrV4,
        /// The port all clients of the generator have.
        #[arg(long)]
        clients_port: u16,
        #[arg(long)]
        pairs: usize,
    },
}

#[derive(clap::Args)]
struct Generate {
    #[arg(long)]
    server: SocketAddrV4,
    #[arg(long, default_value = "udp")]
    transport: TransportName,
    /// The port all UDP clients have; 0 takes a free one.
    #[arg(long, default_value_t = 0)]
    clients_port: u16,
    /// The secret shared with the server, alone in a file.
    #[arg(long)]
    secret_file: Option<PathBuf>,
    /// PEM file of who may have signed the server's certificate.
    #[arg(long)]
    trust: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum TransportName {
    Udp,
    Tcp,
    Tls,
}

fn main() -> ExitCode {
    let done = match Tool::parse() {
        Tool::Generate(options) => commands::obey(&options),
        Tool::Switch {
            listen,
            clients_port,
            pairs,
        } => switch::run(listen, clients_port, pairs),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("turngate-load: {error}");
            ExitCode::FAILURE
        }
    }
}
