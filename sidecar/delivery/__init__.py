"""From the journal to sinks, and what could not be delivered or predicted."""
