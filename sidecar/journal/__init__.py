"""The durable spool between workers and whoever wants their records."""
