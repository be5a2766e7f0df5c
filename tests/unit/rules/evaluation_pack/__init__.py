"""Specs of every kind, and rules that show what they got: whatever differs between two ways of reading shows."""
