"""What every process needs: errors, settings, logs, metrics, spans, retries."""
