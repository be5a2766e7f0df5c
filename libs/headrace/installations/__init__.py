"""Simulated installations of the assisted installer, for assisted_events and for samples."""
