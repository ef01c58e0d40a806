//! Who the clients are: an address, a network (/24) and a session each, by number.
//!
//! Clients 2n and 2n+1 are a pair, which is a session of its own.

use std::net::Ipv4Addr;

const NETWORKS: usize = 128 * 256;
const FIRST_NETWORK: usize = 64 * 256;
const FIRST_FLOODING_NETWORK: usize = 192 * 256;

pub fn partner_of(client: usize) -> usize {
    client ^ 1
}

/// Of 127.64.0.0 to 127.191.255.255.
pub fn address_of(client: usize) -> Ipv4Addr {
    in_network(FIRST_NETWORK + client % NETWORKS, client / NETWORKS + 1)
}

pub fn client_at(address: Ipv4Addr) -> Option<usize> {
    let [_, high, low, host] = address.octets();
    let network = (usize::from(high) * 256 + usize::from(low)).checked_sub(FIRST_NETWORK)?;
    let round = usize::from(host).checked_sub(1)?;
    (network < NETWORKS).then_some(round * NETWORKS + network)
}

/// Where a flood comes from: no client has an address there.
pub fn flooding_address(network: usize, host: u8) -> Ipv4Addr {
    in_network(
        FIRST_FLOODING_NETWORK + network % (63 * 256),
        usize::from(host),
    )
}

/// The channel by which a client reaches its partner: each side its own, so that relays have something to rewrite.
pub fn channel_of(client: usize) -> u16 {
    0x4000 + (client & 1) as u16
}

fn in_network(network: usize, host: usize) -> Ipv4Addr {
    Ipv4Addr::new(
        127,
        (network / 256) as u8,
        (network % 256) as u8,
        host as u8,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_found_by_its_address() {
        for client in [0, 1, 255, 256, 32_767, 32_768, 1_000_000] {
            assert_eq!(client_at(address_of(client)), Some(client));
        }
    }

    #[test]
    fn addresses_are_those_that_the_plane_alone_gives_rows_to() {
        let told: Vec<_> = [0, 1, 256, 32_767, 32_768]
            .map(|client| address_of(client).to_string())
            .into();
        let expected = [
            "127.64.0.1",
            "127.64.1.1",
            "127.65.0.1",
            "127.191.255.1",
            "127.64.0.2",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_flood_has_addresses_of_its_own() {
        for network in [0, 1, 16_127] {
            assert_eq!(client_at(flooding_address(network, 1)), None);
        }
    }
}
