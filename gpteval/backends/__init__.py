"""What answers queries: what every backend is, how it is found by a model's name, and with what it is opened."""
