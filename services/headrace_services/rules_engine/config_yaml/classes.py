"""Classes of the user's own: found by dotted name, made with what the document gives them."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any, Final

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.plan import OwnClass
from headrace_services.rules_engine.config_yaml.section import suggestion

# Holds a package `insights_messaging` with the base classes that classes of one's own are derived from.
BASES: Final = Path(__file__).with_name("compat")


def make_importable(directory: Path) -> None:
    """Let modules of a directory be imported, and the base classes of insights-core-messaging if it is not there."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    # At the end, where the package itself goes before it as soon as it is installed.
    if importlib.util.find_spec("insights_messaging") is None:
        sys.path.append(str(BASES))


def build(own: OwnClass, *methods: str) -> Any:
    """Make an instance; it must have one of the methods, if any are named.

    Raises:
        ConfigurationError: it cannot be found, imported or made; one line.

    """
    maker = find(own)
    if not callable(maker):
        raise ConfigurationError(
            f"{own.path}.name: got {own.name!r}, a {type(maker).__name__}, expected a class"
        )
    try:
        inspect.signature(maker).bind(*own.args, **own.kwargs)
    except TypeError as error:
        raise ConfigurationError(f"{own.path}.kwargs: {own.name} does not accept them: {error}") from None
    except ValueError:
        # Built in, and without a signature to ask.
        pass
    try:
        instance = maker(*own.args, **own.kwargs)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"{own.path}: {own.name} cannot be made: {_described(error)}") from error
    if methods and not any(callable(getattr(instance, method, None)) for method in methods):
        raise ConfigurationError(
            f"{own.path}.name: got {own.name!r}, which has no method {' or '.join(methods[:3])}"
        )
    return instance


def find(own: OwnClass) -> Any:
    """Import what a dotted name names: a class, a function or a method.

    Raises:
        ConfigurationError: there is none of this name; one line.

    """
    found: Any
    module_name, attributes = _module_of(own)
    try:
        found = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(
            f"{own.path}.name: got {own.name!r}, but {module_name} cannot be imported: {_described(error)}"
        ) from error
    for attribute in attributes:
        if not hasattr(found, attribute):
            public = [name for name in vars(found) if not name.startswith("_")]
            raise ConfigurationError(
                f"{own.path}.name: got {own.name!r}, but {module_name} has no {attribute}; "
                f"{suggestion(attribute, public)}"
            )
        found = getattr(found, attribute)
    return found


def _module_of(own: OwnClass) -> tuple[str, list[str]]:
    """The longest beginning of the name that is a module, and the rest."""
    parts = own.name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            if importlib.util.find_spec(name) is not None:
                return name, parts[length:]
        except ModuleNotFoundError:
            # Of a parent that is a module, not a package, or that is not there.
            continue
        except (Exception, SystemExit) as error:
            raise ConfigurationError(
                f"{own.path}.name: got {own.name!r}, but {name} cannot be imported: {_described(error)}"
            ) from error
    raise ConfigurationError(
        f"{own.path}.name: got {own.name!r}, but there is no module {'.'.join(parts[:-1]) or own.name} "
        "(searched the working directory and the installed packages)"
    )


def _described(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
