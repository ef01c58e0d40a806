"""Who answers here? `python -m tests.acceptance.reach_process tcp:192.0.2.1:443 udp:192.0.2.1:3478 ...`

Prints one JSON object: for every target "answered" (a TCP connection, an answer to a STUN Binding request),
"refused" (the machine says that nothing listens) or "silent".
"""

from __future__ import annotations

import asyncio
import json
import secrets
import socket
import sys

WAIT_SECONDS = 1.5
TRIES = 3
BINDING_REQUEST = bytes.fromhex("00010000") + bytes.fromhex("2112a442")


async def reach(target: str) -> str:
    protocol, address, port = target.split(":")
    try:
        async with asyncio.timeout(WAIT_SECONDS):
            return await (_tcp if protocol == "tcp" else _udp)(address, int(port))
    except ConnectionRefusedError:
        return "refused"
    except (TimeoutError, OSError):  # an unreachable network is as silent as a firewall
        return "silent"


async def _tcp(address: str, port: int) -> str:
    _, writer = await asyncio.open_connection(address, port)
    writer.close()
    return "answered"


async def _udp(address: str, port: int) -> str:
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        probe.connect((address, port))
        for _ in range(TRIES):
            await loop.sock_sendall(probe, BINDING_REQUEST + secrets.token_bytes(12))
            try:
                async with asyncio.timeout(WAIT_SECONDS / (TRIES + 1)):
                    await loop.sock_recv(probe, 2048)
            except TimeoutError:
                continue
            return "answered"
    return "silent"


async def main(targets: list[str]) -> None:
    print(json.dumps(dict(zip(targets, await asyncio.gather(*map(reach, targets)), strict=True))))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
