"""Headrace: the ingress-to-pipeline flow of console.redhat.com, self-hosted."""
