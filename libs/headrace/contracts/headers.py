"""The HTTP headers of the platform."""

from typing import Final

# Base64 of an identity document, set by the gateway.
IDENTITY_HEADER: Final = "x-rh-identity"
# Follows a payload through the flow; a sender may choose it.
REQUEST_ID_HEADER: Final = "X-Rh-Insights-Request-Id"
