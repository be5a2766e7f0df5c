from insights.core.context import ExecutionContext, fs_root
from insights.core.plugins import datasource
from insights.core.spec_factory import (
    RawFileProvider,
    RegistryPoint,
    SpecSet,
    first_file,
    first_of,
    foreach_collect,
    glob_file,
    head,
    listdir,
    listglob,
    simple_file,
)


@fs_root
class DemoContext(ExecutionContext):
    marker = "demo/marker.txt"


class OlderContext(ExecutionContext):
    """Defined before DemoOfDemoContext, so tried after it."""

    marker = "demo/twice.txt"


@fs_root
class NewerContext(ExecutionContext):
    marker = "demo/twice.txt"


class DemoSpecs(SpecSet):
    text = RegistryPoint()
    filtered = RegistryPoint(filterable=True)
    raw = RegistryPoint(raw=True)
    linked = RegistryPoint()
    linked_out = RegistryPoint()
    directory = RegistryPoint()
    first = RegistryPoint()
    many = RegistryPoint(multi_output=True)
    one_of_many = RegistryPoint()
    any_of = RegistryPoint()
    named = RegistryPoint(multi_output=True)
    too_many = RegistryPoint(multi_output=True)
    overridden = RegistryPoint()
    absent = RegistryPoint()
    names = RegistryPoint(multi_output=True)


class Everywhere(DemoSpecs):
    text = simple_file("demo/text.txt")
    filtered = simple_file("/demo/long.log")
    raw = simple_file("demo/raw.bin", kind=RawFileProvider)
    linked = simple_file("demo/link/text.txt")
    linked_out = simple_file("demo/out.txt")
    directory = simple_file("demo/many")
    first = first_file(["demo/absent", "demo/../demo/text.txt", "demo/long.log"])
    many = glob_file(["demo/many/*.txt", "demo/*/b[0-9].log", "demo/link/*.txt"], ignore="ignored")
    one_of_many = head(many)
    any_of = first_of([first, text])
    list_of_names = listdir("demo/many", ignore=r"\.log$")
    globbed_names = listglob("demo/many/*.txt")
    names = foreach_collect(list_of_names, "demo/many/%s", context=DemoContext)
    named = foreach_collect(globbed_names, "%s", context=DemoContext)
    too_many = glob_file("demo/thousand/*")
    overridden = simple_file("demo/text.txt", context=DemoContext)
    absent = simple_file("demo/absent")


class Later(DemoSpecs):
    """Takes the place of the earlier one in the contexts both stand for."""

    overridden = simple_file("demo/many/a.txt", context=DemoContext)


class ByItself(SpecSet):
    real_path = RegistryPoint()


class RealPaths(ByItself):
    @datasource(DemoContext)
    def real_path(broker):  # noqa: N805
        from pathlib import Path

        root = broker[DemoContext].root
        return sorted(path.name for path in Path(root, "demo", "many").iterdir())
