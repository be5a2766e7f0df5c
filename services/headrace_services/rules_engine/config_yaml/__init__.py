"""A pipeline's config.yaml: its variables, keys and class names, and how they become what runs here."""
