"""Base classes under the names of insights-core-messaging, for installations without it.

The package has only the classes from which the user's own classes derive; the pipeline itself is
`headrace_services.rules_engine`.
"""
