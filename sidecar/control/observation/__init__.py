"""The controller's side of observing: what is watched, what was learned, and the past of it all.

`Observer` owns the rest: it plans what workers observe, learns references where there are none, and
takes the snapshots of which `History` cuts windows.
"""

from sidecar.control.observation.history import History, Pin
from sidecar.control.observation.observer import Clocks, Observer, Places, Wanted
from sidecar.control.observation.plan import Watched
from sidecar.control.observation.seating import Unwatched
from sidecar.control.observation.subjects import OTHER
from sidecar.control.observation.windows import Window

__all__ = [
    "OTHER",
    "Clocks",
    "History",
    "Observer",
    "Pin",
    "Places",
    "Unwatched",
    "Wanted",
    "Watched",
    "Window",
]
