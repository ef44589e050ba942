"""A TCP proxy that goes wrong on request: it refuses, swallows, delays and cuts."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Coroutine
from typing import Any, Self

from tests.harness.processes import free_port

CHUNK_BYTES = 65_536
# RST instead of an orderly end: what a dead machine's network does to its peers.
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Proxy:
    """Lead 127.0.0.1:`port` to `target` between `with` and its end, in a thread of its own.

    `connections` counts those that were taken since the start, those that got nowhere among them.
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.connections = 0
        self._delay_seconds = 0.0
        self._ends: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    def __enter__(self) -> Self:
        self.port = free_port()
        self._loop = asyncio.new_event_loop()
        self._open = asyncio.Event()
        self._open.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="proxy", daemon=True)
        self._thread.start()
        self._do(self._listen())
        return self

    def __exit__(self, *_: object) -> None:
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def pass_on(self) -> None:
        """Let everything work again.

        Swallowed data goes on its way late, as after a mended cable.
        """
        self._do(self._mend())

    def refuse(self) -> None:
        """Nobody listens, and who was connected is cut off."""
        self._do(self._refuse())

    def black_hole(self) -> None:
        """Accept connections and let no byte through, on old ones neither."""
        self._do(self._swallow())

    def delay(self, seconds: float) -> None:
        """Delay every piece of either direction by so much."""
        self._delay_seconds = seconds

    def cut(self) -> None:
        """Reset all connections of this moment; new ones work."""
        self._do(self._cut())

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=30)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, "127.0.0.1", self.port, backlog=512
            )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _mend(self) -> None:
        self._delay_seconds = 0.0
        self._open.set()
        await self._listen()

    async def _refuse(self) -> None:
        await self._close()
        await self._cut()

    async def _swallow(self) -> None:
        await self._listen()
        self._open.clear()

    async def _cut(self) -> None:
        for writer in list(self._ends):
            peer = writer.get_extra_info("socket")
            if peer is not None:
                with contextlib.suppress(OSError):
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
            writer.transport.abort()

    async def _end(self) -> None:
        await self._close()
        await self._cut()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._ends.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            await self._open.wait()
            back, onward = await asyncio.open_connection(*self.target)
            self._ends.add(onward)
            await asyncio.gather(self._pump(reader, onward), self._pump(back, writer))
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in (writer, onward):
                if end is not None:
                    self._ends.discard(end)
                    end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(CHUNK_BYTES):
            if self._delay_seconds:
                await asyncio.sleep(self._delay_seconds)
            await self._open.wait()
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
