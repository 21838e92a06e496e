"""The form of a request: what its columns are called, which are observed, where sources stand.

Most requests to a model look alike. What follows from their look is worked out once per form and
remembered, so that requests of one form get the same `names` object, by which the monitor knows
them, and a row costs nothing but a look-up.

- Columns that the body names (records, one input per feature, a header line) keep their names;
  `features` chooses among them.
- Columns without names of their own (one tensor, bare rows) are called by `features` when there
  are as many, else by the names of the baseline when there are as many, else `input[0]`, ...

Forms come from clients, so few are remembered, and none that is large.

Must not know: protocols, how rows are read.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Final

from sidecar.payload.columns import MOST_COLUMNS, SCALARS, too_wide
from sidecar.payload.extract import Inputs, Undecodable, Value
from sidecar.payload.names import Reason
from sidecar.payload.pointer import Pointer
from sidecar.payload.settings import Source

_MOST_FORMS: Final = 64  # a model has one or two; the rest are mistakes or attacks
_LONGEST_NAMES: Final = 64 * 1024  # characters of one form; longer ones are worked out each time


@dataclass(frozen=True, slots=True)
class _Form:
    """`picks` are the columns observed, None for all as they come; an index of None is absent.

    `sources[i]` is the column of the i-th source, None when that is no feature or is not there.
    """

    names: tuple[str, ...]
    picks: tuple[int | None, ...] | None
    sources: tuple[int | None, ...]


class Forms:
    """Gives rows their names, and finds the sources of a request.

    `features` are those of the settings, `names` those of the baseline.
    """

    def __init__(
        self,
        features: tuple[str, ...] = (),
        names: tuple[str, ...] = (),
        sources: tuple[Source, ...] = (),
    ) -> None:
        self._features = features
        self._names = names
        self._sources = sources
        self._pointers = tuple(
            None if source.pointer is None else Pointer.parse(source.pointer) for source in sources
        )
        self._forms: dict[Hashable, _Form] = {}

    @property
    def expected_width(self) -> int | None:
        """How many columns a row without names should have, where settings or baseline say so."""
        return len(self._features) or len(self._names) or None

    def named(
        self, columns: tuple[str, ...], rows: Sequence[Sequence[Value]], document: object = None
    ) -> Inputs:
        """Rows whose columns the body names. Raises Undecodable."""
        form = self._forms.get(columns)
        if form is None:
            form = self._remember(columns, self._chosen(columns), columns)
        return self._inputs(form, rows, document)

    def bare(
        self,
        prefix: str,
        width: int,
        rows: Sequence[Sequence[Value]],
        document: object = None,
    ) -> Inputs:
        """Rows whose columns have no names; `prefix` is what they are together. Raises Undecodable.

        A single column is not bare if its prefix is a name: see `named`.
        """
        form = self._forms.get((prefix, width))
        if form is None:
            columns = numbered(prefix, width)
            form = self._remember((prefix, width), self._by_position(columns), columns)
        return self._inputs(form, rows, document)

    def partly_named(
        self, columns: tuple[str, ...], rows: Sequence[Sequence[Value]], document: object = None
    ) -> Inputs:
        """Rows some of whose columns are numbered parts of what the body names."""
        form = self._forms.get((columns, None))
        if form is None:
            form = self._remember((columns, None), self._by_position(columns), columns)
        return self._inputs(form, rows, document)

    def _inputs(self, form: _Form, rows: Sequence[Sequence[Value]], document: object) -> Inputs:
        if not self._sources and form.picks is None:
            return Inputs(form.names, rows)
        sourced = self._sourced(form, rows[0] if rows else None, document)
        if form.picks is not None:
            rows = [[None if i is None else row[i] for i in form.picks] for row in rows]
        return Inputs(form.names, rows, sourced)

    def _sourced(
        self, form: _Form, row: Sequence[Value] | None, document: object
    ) -> tuple[Value, ...]:
        values: list[Value] = []
        for pointer, column in zip(self._pointers, form.sources, strict=True):
            if pointer is not None:
                found = pointer.find(document)
                values.append(found if type(found) in SCALARS else None)  # type: ignore[arg-type]
            else:
                values.append(None if row is None or column is None else row[column])
        return tuple(values)

    def _by_position(self, columns: tuple[str, ...]) -> _Form:
        if len(columns) == len(self._features):
            return self._form(self._features, None, self._features)
        if not self._features and len(columns) == len(self._names):
            return self._form(self._names, None, self._names)
        return self._chosen(columns)

    def _chosen(self, columns: tuple[str, ...]) -> _Form:
        if len(columns) > MOST_COLUMNS:
            raise too_wide()
        places = {name: place for place, name in enumerate(columns)}
        if len(places) < len(columns):
            raise Undecodable(Reason.SHAPE, "two columns of one name")
        if not self._features or self._features == columns:
            return self._form(columns, None, columns)
        if places.keys().isdisjoint(self._features):
            raise Undecodable(
                Reason.SHAPE,
                f"{len(columns)} columns, none of which is among the {len(self._features)} of "
                "`payload.features`",
            )
        picks = tuple(places.get(name) for name in self._features)
        return self._form(self._features, picks, columns)

    def _form(
        self,
        names: tuple[str, ...],
        picks: tuple[int | None, ...] | None,
        columns: tuple[str, ...],
    ) -> _Form:
        places = {name: place for place, name in enumerate(columns)}
        sources = tuple(
            None if source.feature is None else places.get(source.feature)
            for source in self._sources
        )
        return _Form(names, picks, sources)

    def _remember(self, key: Hashable, form: _Form, columns: tuple[str, ...]) -> _Form:
        if sum(map(len, columns)) <= _LONGEST_NAMES:
            if len(self._forms) >= _MOST_FORMS:
                del self._forms[next(iter(self._forms))]  # the oldest
            self._forms[key] = form
        return form


def numbered(prefix: str, width: int) -> tuple[str, ...]:
    """`prefix[0]` to `prefix[width - 1]`; a single column is `prefix`. Raises Undecodable."""
    if width == 1:
        return (prefix,)
    if width > MOST_COLUMNS:
        raise too_wide()
    return tuple(f"{prefix}[{index}]" for index in range(width))
