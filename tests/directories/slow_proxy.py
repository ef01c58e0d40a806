"""A server that answers slowly: everything passes through here and is held up on its way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def slow_proxy(address: str, port: int, delay_seconds: float) -> AsyncIterator[int]:
    """The port of 127.0.0.1 that leads to `address`; each read from the server is passed on so much later."""
    loop = asyncio.get_running_loop()

    writers: list[asyncio.StreamWriter] = []
    ended: list[asyncio.Event] = []

    async def pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter, delay: float) -> None:
        with suppress(ConnectionError):
            while data := await source.read(65536):
                if delay:
                    loop.call_later(delay, sink.write, data)
                else:
                    sink.write(data)
        sink.transport.abort()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over = asyncio.Event()
        ended.append(over)
        writers.append(writer)
        with suppress(ConnectionError):
            far_reader, far_writer = await asyncio.open_connection(address, port)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(pass_on(reader, far_writer, 0))
                tasks.create_task(pass_on(far_reader, writer, delay_seconds))
        over.set()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        for over in ended:
            await over.wait()
