"""What holds for all tests: Hypothesis looks for wrong results, not for slow ones."""

from hypothesis import settings

# A deadline for each example would judge how busy the machine is; the suite has its own timeout.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
