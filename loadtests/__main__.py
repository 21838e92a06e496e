"""All measurements, one after the other; about twenty minutes on a machine that does nothing else.

python -m loadtests --into docs/performance.md    renew the figures of the document
python -m loadtests --quick                       one short round of each, to see that it works
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from loadtests import (
    compare,
    cost,
    delivery,
    growth,
    journal,
    journal_kills,
    kernel,
    kill_campaign,
    monitor_cost,
    rollback,
    shadow_faults,
    sink_outages,
    startup,
)
from loadtests.rig.progress import say

MEASUREMENTS = {
    "compare": (compare.main, ["--rounds", "1", "--seconds", "1"]),
    "growth": (growth.main, ["--rounds", "1", "--seconds", "1"]),
    "cost": (cost.main, ["--rounds", "1", "--seconds", "1", "--sample", "3"]),
    "rollback": (rollback.main, ["--rounds", "20"]),
    "shadow-faults": (shadow_faults.main, ["--rounds", "1", "--seconds", "1"]),
    "sink-outages": (sink_outages.main, ["--rounds", "1", "--seconds", "1"]),
    "startup": (startup.main, ["--rounds", "1"]),
    "kernel": (kernel.main, ["--rounds", "1"]),
    "delivery": (delivery.main, ["--rounds", "1", "--records", "5000"]),
    "journal": (journal.main, ["--rounds", "1"]),
    "journal-kills": (journal_kills.main, ["--rounds", "20"]),
    "kill-campaign": (kill_campaign.main, ["--rounds", "5"]),
    "monitor-cost": (monitor_cost.main, ["--rounds", "1", "--seconds", "1"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=MEASUREMENTS, default=list(MEASUREMENTS))
    parser.add_argument("--quick", action="store_true", help="one short round of each")
    parser.add_argument("--bars", action="store_true", help="exit with 1 when a bar is missed")
    parser.add_argument("--into", metavar="FILE", help="put the results into a document")
    parser.add_argument(
        "--json", type=Path, metavar="FOLDER", help="write each one's rounds as a JSON file"
    )
    chosen = parser.parse_args()
    if chosen.json is not None:
        chosen.json.mkdir(parents=True, exist_ok=True)
    codes = []
    for name in chosen.only:
        measurement, brief = MEASUREMENTS[name]
        arguments = list(brief) if chosen.quick else []
        arguments += ["--bars"] if chosen.bars else []
        arguments += ["--into", chosen.into] if chosen.into else []
        arguments += ["--json", str(chosen.json / f"{name}.json")] if chosen.json else []
        say(f"== {name}")
        codes.append(measurement(arguments))
        print()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
