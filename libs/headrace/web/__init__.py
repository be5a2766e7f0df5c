"""The shell of an HTTP service: listener, limits, identity, error bodies, health and metrics."""
