"""Takes the symbol and debug tables out of shared libraries, which no loader reads.

In some wheels they are two megabytes of the archive. They are overwritten with zeros, which
compress to nothing: so no offset changes, and no tools for another processor are needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

# System V ABI, 64-bit objects, little-endian: https://refspecs.linuxfoundation.org/elf/
_MAGIC = b"\x7fELF\x02\x01"
_HEADER_TABLE = struct.Struct("<Q")
_HEADER_COUNT = struct.Struct("<HHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOLS = 2
_STRINGS = 3
_ALLOCATED = 0x2


def blank(library: Path) -> None:
    """Overwrite the tables of `library` that are not loaded. Other files stay as they are."""
    content = bytearray(library.read_bytes())
    if not content.startswith(_MAGIC):
        return
    for offset, size in _unloaded(bytes(content)):
        content[offset : offset + size] = bytes(size)
    library.write_bytes(content)


def _unloaded(content: bytes) -> Iterator[tuple[int, int]]:
    """Offset and size of each table of symbols, their names, and of debug information."""
    (table,) = _HEADER_TABLE.unpack_from(content, 0x28)
    size, count, names_index = _HEADER_COUNT.unpack_from(content, 0x3A)
    sections = [_SECTION.unpack_from(content, table + size * index) for index in range(count)]
    names_at = sections[names_index][4] if sections else 0
    for index, (name, kind, flags, _, offset, length, *_rest) in enumerate(sections):
        if flags & _ALLOCATED or index == names_index:
            continue
        end = content.index(b"\0", names_at + name)
        is_debug = content[names_at + name : end].startswith(b".debug")
        if is_debug or kind in (_SYMBOLS, _STRINGS):
            yield offset, length
