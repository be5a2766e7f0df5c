"""``python -m insights_messaging config.yaml``."""

from headrace_services.rules_engine.run import main

main()
