"""An image registry whose images do not outlive its pod."""

from typing import Final

from insights.core.plugins import Response, make_fail, make_pass, rule

from headrace.rules.parsers.cluster import ImageRegistry

ERROR_KEY: Final = "IMAGE_REGISTRY_WITHOUT_STORAGE"
GOOD_KEY: Final = "IMAGE_REGISTRY_WITH_STORAGE"
REMOVED_KEY: Final = "IMAGE_REGISTRY_REMOVED"


@rule(ImageRegistry, tags=["image_registry", "storage"])
def report(registry: ImageRegistry) -> Response | None:
    """Hit when the registry is managed and has no storage, or only an emptyDir, or says that it does not exist.

    A configuration that says neither how the registry is managed nor what it stores in is not judged.
    """
    state = registry.management_state
    if state == "Removed":
        return make_pass(REMOVED_KEY)
    kinds = sorted(registry.storage)
    missing = registry.condition("StorageExists", "False")
    if kinds and kinds != ["emptyDir"] and missing is None:
        return make_pass(GOOD_KEY, storage=kinds[0][:64])
    if not (state or kinds or missing):
        return None
    exists = registry.condition("StorageExists")
    return make_fail(
        ERROR_KEY,
        storage=kinds[0][:64] if kinds else "none",
        management_state=state,
        reason=exists.reason if exists else "",
        message=exists.message if exists else "",
    )
