"""Processes that have rules loaded and evaluate archives: a rule that hangs, crashes or bloats ends its own alone."""
