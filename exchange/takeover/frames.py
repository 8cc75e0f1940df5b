"""How messages follow one another between a gateway and the process that reads for it: each behind its length."""

import asyncio
from typing import BinaryIO, Final

LENGTH_BYTES: Final = 4

READ_BYTES: Final = 64 * 1024
"""So much is taken from the line at once, where it is there."""


def framed(message: bytes) -> bytes:
    """A message as it is sent."""
    return len(message).to_bytes(LENGTH_BYTES, "big") + message


def read_frame(file: BinaryIO) -> bytes | None:
    """The next message, None at the end."""
    head = file.read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        return None
    length = int.from_bytes(head, "big")
    message = file.read(length)
    return message if len(message) == length else None


class Frames:
    """The messages that come in. Most come with others, and are there without waiting."""

    def __init__(self, reader: asyncio.StreamReader) -> None:
        self._reader = reader
        self._held = bytearray()

    def at_hand(self) -> bytes | None:
        """The next message, None where not all of it is there yet."""
        held = self._held
        end = LENGTH_BYTES + int.from_bytes(held[:LENGTH_BYTES], "big")
        if len(held) < max(end, LENGTH_BYTES):
            return None
        message = bytes(held[LENGTH_BYTES:end])
        del held[:end]
        return message

    async def next(self) -> bytes:
        """The next message. Raises EOFError at the end."""
        while (found := self.at_hand()) is None:
            read = await self._reader.read(READ_BYTES)
            if not read:
                raise EOFError
            self._held += read
        return found
