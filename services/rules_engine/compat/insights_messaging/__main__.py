"""``python -m insights_messaging config.yaml``."""

from services.rules_engine.run import main

main()
