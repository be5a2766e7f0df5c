"""The adapter for a config.yaml of the CCX data pipeline: its variables, keys and class names."""
