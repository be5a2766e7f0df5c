"""Files for operators, generated from the services' table: manifests, dashboard, AsyncAPI document."""
