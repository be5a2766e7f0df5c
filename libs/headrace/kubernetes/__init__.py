"""Reading from a Kubernetes API server."""

from headrace.kubernetes.cluster import Cluster, NotFound
from headrace.kubernetes.kubeconfig import contexts

__all__ = ["Cluster", "NotFound", "contexts"]
