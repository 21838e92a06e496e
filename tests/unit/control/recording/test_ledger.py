"""The books balance to the last exchange, whatever dies and whoever's cell is given away."""

import random

import numpy as np
import pytest

from sidecar.board import CellCounter
from sidecar.board.accounts import DROPS, ENDINGS, Accounts
from sidecar.control.recording.ledger import Books, Ledger, boot_of
from sidecar.journal import Account
from sidecar.journal import Books as Written
from sidecar.model import CellKey, DropReason, Role

LAUNCH = "00000000000000aa"
OTHER_LAUNCH = "00000000000000bb"
STABLE = CellKey(route="r", model="stable", role=Role.PRIMARY)
NEXT = CellKey(route="r", model="next", role=Role.CANARY)
OK = int(CellCounter.STATUS_2XX)
BEFORE = int(CellCounter.RECORDS_BEFORE)
SAMPLED_OUT = int(CellCounter.RECORDS_SAMPLED_OUT)
DISK_FULL = int(CellCounter.of_drop(DropReason.DISK_FULL))
CELLS = 4


class World:
    """Workers that count, write, drop, die and come back; and what really happened."""

    def __init__(self, workers=1):
        self.counters = [np.zeros((CELLS, len(CellCounter)), np.int64) for _ in range(workers)]
        self.runs = [1] * workers
        self.logged = {}
        self.corrupt = {}
        self.cells = [STABLE, NEXT, None, None]

    def request(self, key=STABLE, worker=0, counter=OK):
        self.counters[worker][self.cells.index(key), counter] += 1

    def write(self, key=STABLE, worker=0, times=1, book=None):
        account = Account(boot_of(LAUNCH, self.runs[worker]), worker, key)
        book = self.logged if book is None else book
        book[account] = book.get(account, 0) + times

    def die(self, worker=0):
        """Another run of the worker takes over."""
        rows = self.counters[worker]
        rows[:, BEFORE] = (
            rows[:, list(ENDINGS)].sum(axis=1)
            - rows[:, SAMPLED_OUT]
            - rows[:, list(DROPS)].sum(axis=1)
        )
        self.runs[worker] += 1

    def give_cell(self, cell, key):
        """A cell is somebody else's from now on: every worker clears it."""
        self.cells = [key if at == cell else one for at, one in enumerate(self.cells)]
        for rows in self.counters:
            rows[cell] = 0

    @property
    def accounts(self):
        return Accounts(
            runs=tuple(self.runs), counters=tuple(rows.copy() for rows in self.counters)
        )

    def balance(self, ledger):
        written = Written(logged=dict(self.logged), corrupt=dict(self.corrupt))
        return ledger.balance(self.cells, self.accounts, written, self.accounts)


def test_what_waits_in_a_living_worker_is_in_memory_and_not_lost():
    world = World()
    for _ in range(5):
        world.request()
    world.write(times=3)
    books = world.balance(Ledger(LAUNCH))[STABLE]
    assert (books.requests, books.logged, books.in_memory, books.lost_in_crash) == (5, 3, 2, 0)


def test_what_a_killed_worker_had_in_memory_is_lost_and_counted():
    world, ledger = World(), Ledger(LAUNCH)
    for _ in range(5):
        world.request()
    world.write(times=3)
    world.die()
    world.request()
    world.write()
    books = world.balance(ledger)[STABLE]
    assert books == Books(requests=6, logged=4, lost_in_crash=2)
    assert books.in_memory == 0


def test_what_was_sampled_out_or_dropped_is_not_lost_as_well():
    world, ledger = World(), Ledger(LAUNCH)
    for _ in range(5):
        world.request()
    world.counters[0][0, SAMPLED_OUT] += 1
    world.counters[0][0, DISK_FULL] += 2
    world.write()
    world.die()
    books = world.balance(ledger)[STABLE]
    assert books == Books(
        requests=5,
        logged=1,
        sampled_out=1,
        dropped={DropReason.DISK_FULL: 2},
        lost_in_crash=1,
    )


def test_records_that_were_damaged_since_are_told_apart_from_lost_ones():
    world, ledger = World(), Ledger(LAUNCH)
    for _ in range(5):
        world.request()
    world.write(times=3)
    world.write(times=1, book=world.corrupt)
    world.die()
    books = world.balance(ledger)[STABLE]
    assert (books.logged, books.corrupt, books.lost_in_crash) == (3, 1, 1)


def test_records_of_an_earlier_sidecar_are_not_in_the_books_of_this_one():
    world, ledger = World(), Ledger(LAUNCH)
    world.logged[Account(f"{OTHER_LAUNCH}{1:016x}", 0, STABLE)] = 1000
    world.logged[Account("", 0, STABLE)] = 50
    world.request()
    world.write()
    assert world.balance(ledger)[STABLE] == Books(requests=1, logged=1)


def test_runs_that_the_journal_no_longer_tells_apart_still_count():
    """The bookkeeper adds up old boots under one name, those of this sidecar among them."""
    world, ledger = World(), Ledger(LAUNCH)
    world.logged[Account("", 0, STABLE)] = 50
    world.balance(ledger)
    for _ in range(3):
        world.request()
        world.write()
        world.die()
    old = Account(boot_of(LAUNCH, 1), 0, STABLE)
    world.logged[Account("", 0, STABLE)] += world.logged.pop(old)
    assert world.balance(ledger)[STABLE] == Books(requests=3, logged=3)


def test_a_worker_that_is_just_taking_over_changes_nothing():
    world, ledger = World(), Ledger(LAUNCH)
    world.request()
    world.balance(ledger)
    written = Written(logged={}, corrupt={})
    half = Accounts(runs=(0,), counters=world.accounts.counters)
    books = ledger.balance(world.cells, half, written, half)[STABLE]
    assert (books.in_memory, books.lost_in_crash) == (1, 0)


def test_a_key_that_leaves_and_comes_back_goes_on_where_it_was():
    world, ledger = World(), Ledger(LAUNCH)
    for _ in range(4):
        world.request(NEXT)
    world.write(NEXT, times=3)
    world.balance(ledger)
    other = CellKey(route="r", model="other", role=Role.CANARY)
    world.give_cell(1, other)
    world.request(other)
    world.balance(ledger)
    world.give_cell(2, NEXT)
    world.write(NEXT)
    world.request(NEXT)
    books = world.balance(ledger)[NEXT]
    assert (books.requests, books.logged, books.in_memory) == (5, 4, 1)
    world.die()
    assert world.balance(ledger)[NEXT] == Books(requests=5, logged=4, lost_in_crash=1)


def test_a_key_without_a_cell_keeps_its_books_while_nobody_has_its_cell():
    world, ledger = World(), Ledger(LAUNCH)
    world.request(NEXT)
    world.balance(ledger)
    world.cells[1] = None
    world.counters[0][1, OK] += 1  # an exchange that was under way
    world.write(NEXT, times=2)
    assert world.balance(ledger)[NEXT] == Books(requests=2, logged=2)


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_books_of_any_history_balance_and_tell_what_was_lost(seed, restarts):
    """Random histories against a plain account of what happened in them."""
    chance = random.Random(seed)
    world, ledger = World(workers=2), Ledger(LAUNCH)
    spare = [CellKey(route="r", model=f"m{n}", role=Role.CANARY) for n in range(3)]
    waiting = [{}, {}]
    truth = {}
    for _ in range(300):
        worker = chance.randrange(2)
        known = [key for key in world.cells if key is not None]
        key = chance.choice(known)
        what = truth.setdefault(key, {"requests": 0, "logged": 0, "lost": 0})
        match chance.choices(("request", "write", "die", "move", "look"), (10, 8, 1, 1, 2))[0]:
            case "request":
                world.request(key, worker)
                what["requests"] += 1
                waiting[worker][key] = waiting[worker].get(key, 0) + 1
            case "write" if waiting[worker].get(key):
                world.write(key, worker)
                waiting[worker][key] -= 1
                what["logged"] += 1
            case "die":
                world.die(worker)
                for lost, count in waiting[worker].items():
                    truth[lost]["lost"] += count
                waiting[worker] = {}
            case "move":
                world.balance(ledger)  # the controller looks before it gives a cell away
                absent = [one for one in (*spare, NEXT) if one not in world.cells]
                gone = world.cells[cell := chance.randrange(1, CELLS)]
                for one in waiting:  # workers write what was entered before they clear a cell
                    for _ in range(one.pop(gone, 0)):
                        world.write(gone, waiting.index(one))
                        truth[gone]["logged"] += 1
                world.give_cell(cell, chance.choice(absent))
            case "look":
                world.balance(ledger)
                if restarts:
                    ledger = Ledger(LAUNCH, ledger.saved())
    books = world.balance(ledger)
    for key, what in truth.items():
        found = books[key]
        assert found.requests == what["requests"], key
        assert found.logged == what["logged"], key
        assert found.lost_in_crash == what["lost"], key
        assert found.in_memory == sum(one.get(key, 0) for one in waiting), key
