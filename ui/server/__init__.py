"""The server around the browser app: guard, log-in, health, metrics."""
