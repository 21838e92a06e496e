"""A real writer process is killed at random points; what it said it had written is there.

The longer campaign is `python -m loadtests.journal_kills --rounds 1000`.
"""

import json
import subprocess
import sys

import pytest

ROUNDS = 20


@pytest.mark.parametrize("fsync", ["never", "interval", "always"])
@pytest.mark.parametrize("power", ["stays", "fails"])
def test_what_was_said_to_be_written_or_durable_is_there_after_a_kill(tmp_path, fsync, power):
    told = tmp_path / "campaign.json"
    command = [sys.executable, "-m", "loadtests.journal_kills", "--longest-ms", "40"]
    command += ["--json", str(told)]
    command += ["--rounds", str(ROUNDS), "--fsync", fsync]
    command += ["--power-cuts"] if power == "fails" else []
    finished = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert told.exists(), finished.stderr
    campaign = json.loads(told.read_bytes())
    assert campaign["faults"] == [], campaign
    assert campaign["lost_written"] == campaign["lost_durable"] == 0, campaign
    assert finished.returncode == 0
    assert campaign["rounds"] == ROUNDS
    assert campaign["written"] > 0
    assert (campaign["durable"] > 0) == (fsync != "never")
