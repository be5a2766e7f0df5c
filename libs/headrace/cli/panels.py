"""The panels of `headrace --help`, in their order: what newcomers need comes first, our own tools come last."""

from typing import Any, Final

from typer.core import TyperGroup

RUN: Final = "Run the flow on this machine"
SEND: Final = "Send archives and see what became of them"
SENDERS: Final = "Senders and rules"
OPERATE: Final = "Operate an installation"
MAINTAIN: Final = "Work on Headrace itself"
_ORDER: Final = (RUN, SEND, SENDERS, OPERATE, MAINTAIN)


class Panelled(TyperGroup):
    """A group whose commands stand in the order of their panels."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the commands; those of no panel come first."""
        panels = {
            name: str(getattr(command, "rich_help_panel", "")) for name, command in self.commands.items()
        }
        ranks = {panel: rank for rank, panel in enumerate(_ORDER)}
        return sorted(super().list_commands(ctx), key=lambda name: ranks.get(panels[name], -1))
