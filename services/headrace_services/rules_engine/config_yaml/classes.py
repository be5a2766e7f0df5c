"""The user's own classes: imported by dotted name, created with the arguments in the document."""

import importlib
import importlib.util
import inspect
import sys
from pathlib import Path
from typing import Any, Final

from headrace.runtime.errors import ConfigurationError
from headrace_services.rules_engine.config_yaml.plan import OwnClass
from headrace_services.rules_engine.config_yaml.section import suggestion

# A folder with a package `insights_messaging`, which has the base classes for the user's own classes.
BASES: Final = Path(__file__).with_name("compat")


def make_importable(directory: Path) -> None:
    """Make a directory's modules importable, and insights-core-messaging's base classes if it is missing."""
    if str(directory) not in sys.path:
        sys.path.insert(0, str(directory))
    # The folder goes last, so that an installed package takes precedence.
    if importlib.util.find_spec("insights_messaging") is None:
        sys.path.append(str(BASES))


def build(own: OwnClass, *methods: str) -> Any:
    """Create an instance; if methods are named, it must have one of them.

    Raises:
        ConfigurationError: the class cannot be found, imported or created; the text is one line.
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
        # A built-in without a signature is not checked.
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
    """Import the class, function or method with a dotted name.

    Raises:
        ConfigurationError: nothing has this name; the text is one line.
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
    """Return the longest prefix of the name that is a module, and the rest."""
    parts = own.name.split(".")
    for length in range(len(parts) - 1, 0, -1):
        name = ".".join(parts[:length])
        try:
            if importlib.util.find_spec(name) is not None:
                return name, parts[length:]
        except ModuleNotFoundError:
            # A parent is not a package, or does not exist.
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
