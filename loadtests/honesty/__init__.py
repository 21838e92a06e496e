"""Studies of what the drift gate says of traffic whose truth is known."""
