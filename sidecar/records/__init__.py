"""What is said of an exchange, and how it is written; pure."""
