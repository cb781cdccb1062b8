"""A small TCP proxy before the sandbox that cuts, resets and holds what goes through it.

It knows just enough of HTTP/1.1 to tell where a request and an answer end. `python -m tests.chaos.proxy PORT` is the
program (PORT is the sandbox's); it prints its own port, takes its rules as JSON lines and answers each with its counts.
`Proxy` starts and steers it.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import socket
import struct
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
#: What can happen to a request; `down` is the port that nobody listens at.
FAULTS = (
    "cut_before_request", "cut_in_request", "cut_after_request", "cut_before_answer", "cut_in_answer", "reset",
    "stall", "black_hole",
)  # fmt: skip
#: Seconds that a request or an answer is held: the second is past the client's patience and within `latest_apply`.
STALLS = (0.5, 1.8)
#: Seconds after which a black hole closes: past every client's patience.
HOLE = 4.0
_LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)\r\n", re.IGNORECASE)


class Proxy:
    """The program, from outside."""

    def __init__(self, upstream: int, log: Path) -> None:
        with log.open("ab") as err:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.chaos.proxy", str(upstream)],
                cwd=PROJECT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=err, text=True,
            )  # fmt: skip
        self.port = int(self._answer())

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def rules(self, seed: int = 1, **rules: float) -> Counter[str]:
        """Each request suffers the named faults with these probabilities, writes as given, reads a third of it.

        `down=1` closes the port. Returns how often each fault has happened since the start.
        """
        unknown = set(rules) - {*FAULTS, "down"}
        assert not unknown, unknown
        return self._say({"seed": seed, "rules": rules})

    def happened(self) -> Counter[str]:
        """How often each fault has happened since the start."""
        return self._say({})

    def _say(self, what: dict[str, object]) -> Counter[str]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return Counter(json.loads(self._answer()))

    def close(self) -> None:
        """Ends it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)
        if self._process.stdout is not None:
            self._process.stdout.close()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the proxy has ended"
        return line


# --- the program ------------------------------------------------------------------------------------------------------


class _Gone(Exception):
    """One of the two sides has closed."""


class _Server:
    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.rules: dict[str, float] = {}
        self.random = random.Random(1)
        self.happened: Counter[str] = Counter()
        self.server: asyncio.Server | None = None
        self.port = 0

    async def listen(self) -> None:
        self.server = await asyncio.start_server(self.connection, "127.0.0.1", self.port, reuse_address=True)
        self.port = self.server.sockets[0].getsockname()[1]

    async def steer(self) -> None:
        """Takes rules from standard input until it closes."""
        loop = asyncio.get_running_loop()
        await self.listen()
        print(self.port, flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            given = json.loads(line)
            if given:
                self.rules, self.random = given["rules"], random.Random(given["seed"])
                await self.open_or_close(bool(self.rules.pop("down", 0)))
            print(json.dumps(self.happened), flush=True)

    async def open_or_close(self, close: bool) -> None:
        if close and self.server is not None:
            self.server.close()
            self.server = None
        elif not close and self.server is None:
            await self.listen()

    async def connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.upstream)
        try:
            while self.server is not None:
                request = await _message(reader)
                if not await self.exchange(request, writer, up_reader, up_writer):
                    break
        except (_Gone, ConnectionError):
            pass
        finally:
            for one in (writer, up_writer):
                with suppress(ConnectionError, RuntimeError):
                    one.close()

    async def exchange(
        self, request: bytes, client: asyncio.StreamWriter, up_reader: asyncio.StreamReader, up: asyncio.StreamWriter
    ) -> bool:
        """One request and its answer; False where the connection is over."""
        fault = self.choose(request)
        reset = fault == "reset"
        if reset:
            fault = self.random.choice([name for name in FAULTS if name.startswith("cut")])
        hold = self.random.choice(STALLS) if fault == "stall" else 0.0
        hold_request = self.random.random() < 0.5
        if fault == "cut_before_request":
            return _close(client, reset)
        if fault == "black_hole":
            await asyncio.sleep(HOLE)
            return _close(client, reset)
        if fault == "cut_in_request":
            up.write(request[: len(request) // 2])
            await up.drain()
            return _close(client, reset)
        if hold_request:
            await asyncio.sleep(hold)  # the client may be gone when it arrives: that is the late apply of this proxy
        up.write(request)
        await up.drain()
        if fault == "cut_after_request":
            await asyncio.sleep(0)  # it is on its way; whether it is answered nobody waits for
            return _close(client, reset)
        answer = await _message(up_reader)
        if fault == "cut_before_answer":
            return _close(client, reset)
        if not hold_request:
            await asyncio.sleep(hold)
        client.write(answer[: len(answer) // 2] if fault == "cut_in_answer" else answer)
        await client.drain()
        return _close(client, reset) if fault == "cut_in_answer" else True

    def choose(self, request: bytes) -> str | None:
        """The fault of this request, if any; the token's are spared no more than other reads."""
        line = request.split(b"\r\n", 1)[0]
        is_write = not line.startswith(b"GET ") and b"/token" not in line
        draw = self.random.random() * (1 if is_write else 3)
        for name, probability in self.rules.items():
            if draw < probability:
                self.happened[name] += 1
                return name
            draw -= probability
        return None


def _close(client: asyncio.StreamWriter, reset: bool) -> bool:
    if reset:
        raw: socket.socket = client.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.transport.abort()
    return False


async def _message(reader: asyncio.StreamReader) -> bytes:
    """A whole request or answer. Raises _Gone."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        found = _LENGTH.search(head)
        if found is None and b"chunked" in head.lower():
            raise AssertionError("this proxy does not know chunked bodies")
        return head + await reader.readexactly(int(found[1]) if found else 0)
    except asyncio.IncompleteReadError:
        raise _Gone from None


if __name__ == "__main__":
    asyncio.run(_Server(int(sys.argv[1])).steer())
