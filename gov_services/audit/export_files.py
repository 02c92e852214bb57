"""The files of an exported log: their names and their shape. It writes none and reads none.

```
manifest.json            origin, how many entries, which files
entries/000000000.txt    a line an entry: salt in hexadecimal, a space, the canonical text
checkpoints.txt          signed notes, smallest first, each followed by an empty line of its own
writers.jsonl            a line a writer: id, room, key id, signature
batches.jsonl            a line a batch, in the order of each chain
vouchers.jsonl           a line a change: its entry's number, its writer, the signature under which it waited
```
"""

from __future__ import annotations

from pathlib import Path

VERSION = "gov-audit-export/1"
FILE_LEVEL = 16
FILE_ENTRIES = 1 << FILE_LEVEL
"""An aligned subtree of the log, so that each file can be hashed by itself."""
BETWEEN_NOTES = "\n\f\n"


class ExportRefused(Exception):
    """The folder holds no export."""


def entries_file(folder: Path, begin: int) -> Path:
    """Where the entries from number `begin` on are, which begins a file."""
    return folder / "entries" / f"{begin:012d}.txt"
