"""The admin API: health, metrics, status, and the few calls that change something."""
