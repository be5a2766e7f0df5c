"""Rules that need real paths."""

import sqlite3

from insights.core import Parser
from insights.core.plugins import make_info, parser, rule
from insights.core.spec_factory import RawFileProvider, RegistryPoint, SpecSet, TextFileProvider, simple_file

from tests.unit.rules.evaluation_pack.specs import ByItself, DemoContext


class OnDiskSpecs(SpecSet):
    database = RegistryPoint(raw=True)
    other_kind = RegistryPoint()


class Counted(TextFileProvider):
    def load(self):
        return [str(len(super().load()))]


class OnDiskFiles(OnDiskSpecs):
    database = simple_file("demo/db.sqlite", kind=RawFileProvider)
    other_kind = simple_file("demo/counted.txt", kind=Counted, context=DemoContext)


@parser(OnDiskSpecs.database)
class Database(Parser):
    def _handle_content(self, context):
        connection = sqlite3.connect(context.path)
        self.rows = connection.execute("select name from hosts order by name").fetchall()
        connection.close()


@rule(Database)
def database(found):
    return make_info("DATABASE", rows=found.rows)


@rule(ByItself.real_path)
def real_path(names):
    return make_info("REAL_PATH", names=names)


@rule(OnDiskSpecs.other_kind)
def other_kind(found):
    return make_info("OTHER_KIND", lines=found.content)
