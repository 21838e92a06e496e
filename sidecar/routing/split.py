"""Who holds the 10,000 slots of a route: the persisted form of its percentages.

A request lands on a slot, by the hash of its sticky key or by chance, and the slot names the model
that answers. The table is stored, not computed from the percentages, because only a table can keep
this promise through any number of changes:

- raising a canary takes slots from the primary only, lowering it gives them back to the primary
  only; within one change no slot ever moves between canaries, so no sticky user does;
- a canary that is lowered and raised again takes the same slots, as long as nobody else took them;
- percentages are met to one slot (0.01 %).

The salt decides which users land on which slots. It is fixed while any canary holds a slot, and
renewed when a rollout begins, so that not the same users go first each time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import blake2b
from itertools import islice
from typing import Final, Self

from msgspec import Struct

from sidecar.errors import ConfigError

SLOTS: Final = 10_000
SLOTS_PER_PERCENT: Final = SLOTS // 100

# One byte per slot names its holder.
MODELS_MAX: Final = 256

# BLAKE2b takes keys of up to 64 bytes.
SALT_BYTES_MAX: Final = 64

# 5.1 * 100 is 509.99999999999994: what a person wrote in decimal may miss its slot by this much.
_ROUNDING: Final = 1e-6


class Split(Struct, frozen=True):
    """`slots[i]` is the index into `models` of the holder of slot `i`; `models[0]` is the primary.

    Raises ValueError when the parts do not fit each other.
    """

    models: tuple[str, ...]
    slots: bytes
    salt: str

    def __post_init__(self) -> None:
        if not 1 <= len(self.models) <= MODELS_MAX:
            raise ValueError(f"a split has 1 to {MODELS_MAX} models, got {len(self.models)}")
        if len(set(self.models)) != len(self.models):
            raise ValueError("a split names a model twice")
        if len(self.slots) != SLOTS:
            raise ValueError(f"a split has {SLOTS} slots, got {len(self.slots)}")
        if max(self.slots) >= len(self.models):
            raise ValueError("a slot is held by a model the split does not name")
        if len(self.salt.encode()) > SALT_BYTES_MAX:
            raise ValueError(f"a salt has at most {SALT_BYTES_MAX} bytes")

    @classmethod
    def fresh(cls, primary: str, percents: Mapping[str, float], salt: str) -> Self:
        """A split without history: the primary, and canaries with their percentages, in order.

        Raises ConfigError as `reweigh` does.
        """
        return cls(models=(primary,), slots=bytes(SLOTS), salt=salt).reweigh(percents, salt)

    @property
    def primary(self) -> str:
        """The model that holds what the canaries leave."""
        return self.models[0]

    @property
    def canaries(self) -> tuple[str, ...]:
        """The other models, in order; one may hold no slot."""
        return self.models[1:]

    def percents(self) -> dict[str, float]:
        """What each model holds, primary included: multiples of 0.01 that sum to 100."""
        return {
            model: self.slots.count(index) / SLOTS_PER_PERCENT
            for index, model in enumerate(self.models)
        }

    def reweigh(self, percents: Mapping[str, float], new_salt: str) -> Self:
        """The split in which the canaries are exactly `percents`, changed as little as possible.

        A canary that `percents` leaves out is gone; its slots are the primary's. `new_salt` is
        adopted only if a rollout begins here: no canary held a slot, and now one does.

        Raises ConfigError for a percentage out of range, a sum over 100, the primary among the
        canaries, or a raise that the primary cannot serve (code `needs_two_steps`): with the slots
        that other canaries give back in the same change, users would move between canaries.
        """
        wanted = _slots_wanted(self.primary, percents)
        models = (self.primary, *wanted)
        index_of = {model: index for index, model in enumerate(models)}
        # Most changes are rollbacks or touch one canary: whole canaries move by one table look-up.
        kept = bytes(index_of[model] if wanted.get(model) else 0 for model in self.models)
        slots = bytearray(self.slots.translate(kept.ljust(MODELS_MAX, b"\0")))

        for model, count in wanted.items():
            index = index_of[model]
            surplus = slots.count(index) - count
            if surplus > 0:
                held = (slot for slot in reversed(_preference(model)) if slots[slot] == index)
                for slot in list(islice(held, surplus)):
                    slots[slot] = 0
        for model, count in wanted.items():
            missing = count - slots.count(index_of[model])
            if missing <= 0:
                continue
            free = (s for s in _preference(model) if slots[s] == 0 and self.slots[s] == 0)
            taken = list(islice(free, missing))
            if len(taken) < missing:
                raise ConfigError(
                    f"the primary has {len(taken) / SLOTS_PER_PERCENT:g} % to give, not the "
                    f"{missing / SLOTS_PER_PERCENT:g} % this raise needs; lower the other canaries "
                    "first and raise this one in a second change",
                    path=f"$.{model}",
                    code="needs_two_steps",
                )
            for slot in taken:
                slots[slot] = index_of[model]

        begins = not any(self.slots) and any(slots)
        return type(self)(models=models, slots=bytes(slots), salt=new_salt if begins else self.salt)


def _slots_wanted(primary: str, percents: Mapping[str, float]) -> dict[str, int]:
    for model, percent in percents.items():
        if model == primary:
            raise ConfigError("the primary holds what the canaries leave", path=f"$.{model}")
        if not 0 <= percent <= 100:
            raise ConfigError(
                f"expected a percentage, 0 to 100, got {percent:g}", path=f"$.{model}"
            )
    total = sum(percents.values())
    if total > 100 + _ROUNDING:
        raise ConfigError(f"the canaries' percentages sum to {total:g}, expected at most 100")
    # Rounded down, so that fractions of a slot never add up to one slot too many.
    return {
        model: int(percent * SLOTS_PER_PERCENT + _ROUNDING) for model, percent in percents.items()
    }


def _preference(model: str) -> Sequence[int]:
    """All slots in the order in which this canary takes them; it gives them back in reverse.

    Each canary starts somewhere else, so that one seldom takes what another has just given back.
    """
    digest = blake2b(model.encode(), digest_size=8).digest()
    start = int.from_bytes(digest, "big") % SLOTS
    return (*range(start, SLOTS), *range(start))
