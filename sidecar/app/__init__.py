"""Wiring: the launcher that forks controller and workers, and what each child runs."""
