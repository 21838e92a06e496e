"""Alerts: when a series says that something is wrong, the right people are told, once."""
