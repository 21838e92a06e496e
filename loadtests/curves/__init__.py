"""What a request costs as one thing grows. A module per thing, each with one `measure`."""
