"""What holds for all tests: Hypothesis looks for wrong results, not for slow ones."""

import os

from hypothesis import settings

# A deadline for each example would judge how busy the machine is; the suite has its own timeout.
settings.register_profile("unhurried", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "unhurried")
