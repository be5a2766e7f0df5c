"""The names of events: ``<Subject> <verb past>``."""

from typing import Final

VERBS: Final = {
    "create": "created",
    "delete": "deleted",
    "deletecollection": "collection deleted",
    "get": "fetched",
    "head": "headers fetched",
    "list": "listed",
    "patch": "patched",
    "update": "updated",
    "watch": "watch started",
}

_SINGULARS: Final = (
    "Application BannedUser BuildPipelineSelector Component CustomRun DeploymentTargetClaim DeploymentTarget "
    "Environment IntegrationTestScenario InternalRequest MasterUserRecord MemberOperatorConfig Notification "
    "NSTemplateSet NSTemplateTier PipelineResource PipelineRun Pipeline PromotionRun ProxyPlugin "
    "ReleasePlanAdmission ReleasePlan Release RemoteSecret Run SnapshotEnvironmentBinding Snapshot SocialEvent "
    "SpaceBinding SpaceRequest Space SPIAccessCheck SPIAccessTokenBinding SPIAccessTokenDataUpdate SPIAccessToken "
    "SPIFileContentRequest TaskRun Task TierTemplate ToolChainCluster ToolChainConfig UserAccount UserSignup UserTier"
)
_OTHER_PLURALS: Final = {
    "componentdetectionqueries": "ComponentDetectionQuery",
    "enterprisecontractpolicies": "EnterpriseContractPolicy",
    "memberstatuses": "MemberStatus",
    "releasestrategies": "ReleaseStrategy",
    "toolchainstatuses": "ToolChainStatus",
    "verificationpolicies": "VerificationPolicy",
}

# A resource's plural in the API, with its name in events.
SUBJECTS: Final = {f"{name.lower()}s": name for name in _SINGULARS.split()} | _OTHER_PLURALS


def event_name(subject: str, verb: str) -> str:
    """Return the name of an event; a resource or verb that no table contains stays unchanged."""
    return f"{SUBJECTS.get(subject, subject)} {VERBS.get(verb, verb)}"
