"""How messages follow one another between a gateway and the process that reads for it: each behind its length."""

import asyncio
from typing import BinaryIO, Final

LENGTH_BYTES: Final = 4


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


async def next_frame(reader: asyncio.StreamReader) -> bytes:
    """The next message. Raises IncompleteReadError at the end."""
    head = await reader.readexactly(LENGTH_BYTES)
    return await reader.readexactly(int.from_bytes(head, "big"))
