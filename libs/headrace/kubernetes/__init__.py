"""A read-only client of the Kubernetes API."""

from headrace.kubernetes.cluster import Cluster, NotFound
from headrace.kubernetes.kubeconfig import contexts

__all__ = ["Cluster", "NotFound", "contexts"]
