"""kill -9 of who delivers, at random moments: nothing is lost, and the books balance to the record.

`logged` is counted by who wrote the journal, `pending` by reading it from the cursor's position on,
and the rest stands in the cursor's file: three sources that must agree.
"""

import json
import random
import time
from collections import Counter

from harness.delivering import Journal
from harness.waiting import wait_until

from sidecar.journal import Cursor, Reader

ROUNDS = 6


def pending(journal, position):
    """Records after a position, by model."""
    reader, counts = Reader(journal.directory), Counter()
    while True:
        batch = reader.read(position)
        counts.update(entry.cell.model for entry in batch.entries)
        if batch.next == position:
            reader.close()
            return counts
        position = batch.next


def delivered_ids(directory):
    """Every line, also the half one that a kill may leave at the very end."""
    lines = b"".join(path.read_bytes() for path in sorted(directory.glob("*.jsonl")))
    return [
        json.loads(line)["id"] for line in lines.splitlines(keepends=True) if line[-1:] == b"\n"
    ]


def test_killed_again_and_again_it_loses_nothing_and_the_books_balance(tmp_path, deliverer):
    chance = random.Random(4)
    cursor = Cursor(tmp_path / "cursor")
    with Journal(tmp_path / "journal") as journal:
        for _ in range(ROUNDS):
            process = deliverer(str(tmp_path / "log"))
            until = time.monotonic() + chance.uniform(0.0, 0.25)
            while time.monotonic() < until:
                journal.add(chance.randrange(1, 300))
            process.kill()
            process.wait(10)

            standing = cursor.load()
            books = Counter(pending(journal, standing.position))
            for models in standing.totals.values():
                books.update(models)
            assert books == journal.logged
            # What counts as delivered is there, whatever came after it.
            settled = sum(sum(models.values()) for models in standing.totals.values())
            assert set(journal.ids[:settled]) <= set(delivered_ids(tmp_path / "log"))

        deliverer(str(tmp_path / "log"))
        total = len(journal.ids)
        wait_until(
            lambda: sum(cursor.load().totals.get("delivered", {}).values()) == total,
            "all is delivered",
            timeout_s=20 + total / 2000,  # of 60 rounds 175,000 are left: 11 s on a busy machine
        )
    ids = delivered_ids(tmp_path / "log")
    assert set(ids) == set(journal.ids)
    assert cursor.load().totals == {"delivered": dict(journal.logged)}
    # Duplicates are whole batches that came again with the ids they had; most came once.
    assert len(ids) < 2 * len(set(ids))
