"""Looking at ports: bound for a moment where they are free, spoken to where they are taken."""

from __future__ import annotations

import errno
import socket
import ssl
from contextlib import suppress
from dataclasses import replace

from broker.shell.doctor.ports import PortFacts, PortState
from broker.shell.doctor.relay_facts import answering, unverified
from config.settings import Settings
from relay.configured import configured_listeners
from relay.vocabulary import Address, Listener, Transport

SECONDS = 3.0
_HEALTH = b"GET /healthz HTTP/1.0\r\n\r\n"
_HEALTHS = (200, 503)


def look_at_ports(settings: Settings, certificate: bytes | None) -> list[PortFacts]:
    """`certificate` is the one of the file, in DER."""
    admin = Listener(Transport.TLS, Address(settings.admin.address, settings.admin.port))
    wanted = [
        (f"[{name}]", Listener(Transport.TLS, Address(page.address, page.port)))
        for name, page in settings.listeners()
    ]
    wanted += [("relay.listen", one) for one in configured_listeners(settings.relay) if one.address.port]
    ports = {listener: _port(setting, listener) for setting, listener in wanted}
    taken = {listener for listener, facts in ports.items() if facts.state is PortState.TAKEN}
    answered = answering(taken - {admin})
    if admin in taken and (health := _health(admin.address)) is not None:
        ports[admin] = replace(ports[admin], health=health)
        answered.add(admin)
    for listener in answered:
        ports[listener] = replace(ports[listener], answers=True)
        if listener.transport is Transport.TLS and certificate is not None:
            shows_file = _shown(listener.address) == certificate
            ports[listener] = replace(ports[listener], shows_file=shows_file)
    return list(ports.values())


def _port(setting: str, listener: Listener) -> PortFacts:
    transport, address = listener
    protocol = "udp" if transport is Transport.UDP else "tcp"
    return PortFacts(setting, f"{protocol} {address}", port_state(protocol, address))


def port_state(protocol: str, address: Address) -> PortState:
    """Whether it could be listened at now."""
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    try:
        with socket.socket(socket.AF_INET6 if address.is_ipv6 else socket.AF_INET, kind) as probe:
            if protocol == "tcp":
                # As servers do: connections that have ended hold a port for nobody.
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            if protocol == "tcp":
                probe.listen(1)
    except OSError as refused:
        if refused.errno == errno.EADDRINUSE:
            return PortState.TAKEN
        if refused.errno in (errno.EACCES, errno.EPERM):
            return PortState.NOT_ALLOWED
        return PortState.NO_SUCH_ADDRESS
    return PortState.FREE


def _shown(address: Address) -> bytes | None:
    with suppress(OSError), _speaking(address) as tls:
        return tls.getpeercert(binary_form=True)
    return None


def _health(address: Address) -> int | None:
    with suppress(OSError, ValueError, IndexError), _speaking(address) as tls:
        tls.sendall(_HEALTH)
        said = tls.recv(64)
        status = int(said.split(b" ")[1]) if said.startswith(b"HTTP/1.") else 0
        return status if status in _HEALTHS else None
    return None


def _speaking(address: Address) -> ssl.SSLSocket:
    connection = socket.create_connection(address, SECONDS)
    try:
        return unverified().wrap_socket(connection)
    except BaseException:
        connection.close()
        raise
