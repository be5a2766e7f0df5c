"""Base classes under the names of insights-core-messaging, for where it is not installed.

Only what classes of one's own derive from; the pipeline itself is `headrace_services.rules_engine`.
"""
