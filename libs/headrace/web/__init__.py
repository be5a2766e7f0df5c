"""The HTTP framework of the services: listener, limits, identity, error bodies, health and metrics."""
