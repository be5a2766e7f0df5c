"""Processes that have rules loaded; a rule that hangs, crashes or grows ends only its own process."""
