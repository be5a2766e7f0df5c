"""Questions of an assistant's users, and its answers."""

from dataclasses import dataclass

_DOCUMENTATION = "https://docs.openshift.com/container-platform/4.16"


@dataclass(frozen=True, slots=True)
class Turn:
    """A question, its answer and the passage on which the answer is based."""

    question: str
    answer: str
    passage: str
    url: str
    title: str


TURNS = (
    Turn(
        "Why is my pod in CrashLoopBackOff?",
        "The container starts and exits again. Look at its last log with `oc logs --previous` and at the exit"
        " code in `oc describe pod`. Code 137 means that it was killed, most often for want of memory.",
        "A container that fails repeatedly is restarted with an increasing delay.",
        f"{_DOCUMENTATION}/support/troubleshooting/investigating-pod-issues.html",
        "Investigating pod issues",
    ),
    Turn(
        "How do I drain a node before maintenance?",
        "Mark it unschedulable with `oc adm cordon`, then run `oc adm drain --ignore-daemonsets"
        " --delete-emptydir-data`. Afterwards `oc adm uncordon` takes it back.",
        "Evacuating pods lets you migrate all or selected pods from a node.",
        f"{_DOCUMENTATION}/nodes/nodes/nodes-nodes-working.html",
        "Working with nodes",
    ),
    Turn(
        "Which storage class should I use for a database?",
        "Take a class backed by block storage with the access mode ReadWriteOnce, and check that its reclaim"
        " policy is Retain if the data must survive the claim.",
        "Block storage is recommended for databases.",
        f"{_DOCUMENTATION}/scalability_and_performance/optimization/optimizing-storage.html",
        "Optimizing storage",
    ),
    Turn(
        "How can I limit the memory of a deployment?",
        "Set `resources.limits.memory` on its containers, for example with `oc set resources deployment/NAME"
        " --limits=memory=512Mi`. Set the request as well, so that the scheduler can plan.",
        "Requests are what a container is guaranteed, limits are what it may use at most.",
        f"{_DOCUMENTATION}/nodes/clusters/nodes-cluster-limit-ranges.html",
        "Restricting resource consumption",
    ),
    Turn(
        "The image registry operator is degraded. What now?",
        "Its conditions name the reason: `oc get clusteroperator image-registry -o yaml`. On bare metal it"
        " usually waits for storage; give it a claim in `configs.imageregistry.operator.openshift.io`.",
        "On platforms without shareable object storage the registry starts as Removed.",
        f"{_DOCUMENTATION}/registry/configuring_registry_storage/configuring-registry-storage-baremetal.html",
        "Configuring the registry for bare metal",
    ),
)
FEEDBACK: tuple[tuple[int | None, str | None], ...] = (
    (1, None),
    (1, "Exactly what I was looking for, danke schön!"),
    (-1, "The command does not exist in this version."),
    (-1, None),
    (None, "Please link the documentation page."),
)
MODELS = (
    ("watsonx", "ibm/granite-3-8b-instruct"),
    ("openai", "gpt-4o-mini"),
    ("rhoai_vllm", "granite-3.1-8b"),
)
ATTACHMENT = "".join(
    f"2026-07-31T22:{minute:02}:07Z  WARN  Readiness probe failed: dial tcp 10.128.2.{minute}:8080: refused\n"
    for minute in range(60)
)
