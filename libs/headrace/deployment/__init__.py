"""What is written from the services' table for those who run it: manifests, dashboard, AsyncAPI document."""
