"""``python -m insights_messaging config.yaml``."""

from headrace_services.rules_engine.config_yaml.run import main

main()
