"""The settings by which an operator changes topics, groups, buckets and other values of the services' table."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """The setting by which an operator changes one value of the services' table.

    ``variable`` is an environment variable of the service's settings. Its text replaces ``{}`` in ``form``; while it is
    empty, the table's value applies. ``off`` is the text that switches a topic or bucket off. A computed value is the
    attribute ``by`` of the settings class, and ``also`` names the other variables from which it is computed.
    """

    variable: str
    form: str = "{}"
    off: str | None = None
    by: str = ""
    also: tuple[str, ...] = ()

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable that affects the value."""
        return (self.variable, *self.also)

    @property
    def text(self) -> str:
        """The value in Markdown, in terms of its variables."""
        if self.by:
            return "computed from " + ", ".join(f"`{name}`" for name in self.variables)
        off = f"; `{self.off}` switches it off" if self.off else ""
        return f"`{self.form.format(f'${{{self.variable}}}')}`{off}"

    @property
    def is_opt_in(self) -> bool:
        """Whether the topic or bucket is used only if the variable is set."""
        return self.off == ""
