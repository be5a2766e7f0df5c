"""The base of every process: errors, settings, logs, metrics, spans, retries."""
