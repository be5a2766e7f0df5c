"""Rules on what insights-core itself reads of a host."""

from insights.combiners.hostname import Hostname
from insights.core.plugins import make_info, rule
from insights.parsers.ifcfg import IfCFG
from insights.parsers.installed_rpms import InstalledRpms
from insights.parsers.messages import Messages
from insights.parsers.os_release import OsRelease
from insights.parsers.ps import PsAuxww
from insights.parsers.uname import Uname


@rule(Hostname)
def hostname(found):
    return make_info("HOSTNAME", fqdn=found.fqdn)


@rule(Uname)
def kernel(found):
    return make_info("KERNEL", kernel=found.kernel, version=found.version)


@rule(PsAuxww)
def processes(found):
    return make_info("PROCESSES", processes=sorted(found.running))


@rule(InstalledRpms)
def packages(found):
    return make_info("PACKAGES", packages=sorted(found.packages))


@rule(OsRelease)
def release(found):
    return make_info("RELEASE", release=found.release, data=found.data)


@rule(IfCFG)
def interfaces(found):
    return make_info("INTERFACES", interfaces=[(one.iface, one.file_path) for one in found])


@rule(Messages)
def messages(found):
    return make_info("MESSAGES", lines=len(found.lines), path=found.file_path)
