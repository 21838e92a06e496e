"""What becomes of records in the controller: counted, delivered, kept as dead letters, removed."""
