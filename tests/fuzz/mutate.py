"""Mutations of a file that are the same every time: what `make test` replays without a fuzzer."""

from __future__ import annotations

import random

_NUMBERS = (0, 1, 0x7F, 0x80, 0xFF)
_TEXTS = (b"\xff" * 8, b"\0" * 8, b'"\\ud800"', b"9" * 400, b"[" * 200, b"-1", b"1e999", b"../", b"null")


def mutated(data: bytes, number: int) -> bytes:
    """The data after one to four changes; the number decides which."""
    draw, changed = random.Random(number), bytearray(data)
    for _ in range(draw.randint(1, 4)):
        place = draw.randrange(len(changed) + 1)
        kind = draw.randrange(5)
        if kind == 0 and place < len(changed):
            changed[place] = draw.choice((*_NUMBERS, draw.randrange(256)))
        elif kind == 1:
            del changed[place : place + draw.choice((1, 4, 64, 1 << 20))]
        elif kind == 2:
            changed[place:place] = draw.choice(_TEXTS)
        elif kind == 3:
            changed[place : place + 8] = changed[place // 2 : place // 2 + 8]
        elif place < len(changed):
            changed[place] ^= 1 << draw.randrange(8)
    return bytes(changed)
