"""Concatenated Ogg files, as voice messages are joined: the format allows it (RFC 3533, section 4, "chaining"), but
FFmpeg continues reading only if all of them have the same channels and rate."""

from __future__ import annotations

from ds2f.io.parts import Stored, part_of, reading

_HEADER = 27  # bytes of a page before its segment table
_FIRST = 0x02  # flag of the first page of a stream
MOST = 1_000  # files in one; anything after that belongs to the last


def links(stored: Stored) -> list[Stored]:
    """The concatenated files in one, in order; anything that is not Ogg, or just one, as it is. Raises OSError."""
    starts, place, began = [0], 0, True
    with reading(stored) as file:
        if file.read(4) != b"OggS":
            return [stored]
        end = file.seek(0, 2)
        while len(starts) < MOST:
            file.seek(place)
            page = file.read(_HEADER + 255)
            if len(page) < _HEADER or not page.startswith(b"OggS"):
                break  # the end, or damage, which is left to the decoder
            begins = bool(page[5] & _FIRST)
            if begins and not began:
                starts.append(place)
            began = begins
            segments = page[26]
            place += _HEADER + segments + sum(page[_HEADER : _HEADER + segments])
    if len(starts) == 1:
        return [stored]
    return [part_of(stored, start, stop) for start, stop in zip(starts, [*starts[1:], end], strict=True)]
