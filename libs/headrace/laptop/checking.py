"""`check`: what ingress and the services behind it would make of an archive, without a stack."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import orjson

from headrace.cli.output import Output, fail
from headrace.contracts.identity import LOCAL_ORG_ID
from headrace.laptop.uploads import as_organisation, content_type_of
from headrace.runtime.logging import configure
from headrace.service.flow import consumers_of
from headrace.service.row import Service
from headrace.service.trial import Finding, Trial

CONTRACT: Final = "docs/upload-contract.md"


async def findings(services: Sequence[Service], trial: Trial) -> list[Finding]:
    """Return what each service says of an archive, in the order of the table; ingress first."""
    found: list[Finding] = []
    reached: Mapping[str, object] = {"ingress": ()}
    for row in services:
        if row.name.replace("_", "-") not in reached or (check := row.check) is None:
            continue
        finding = await check(trial, row)
        if finding is not None:
            found.append(finding)
        if trial.announcement is None:
            break
        reached = consumers_of(services, trial.announcement.service)
    return found


async def check(
    services: Sequence[Service],
    path: Path,
    *,
    type_: str | None,
    org: str | None,
    cluster: str | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Print the findings; exit code 1 if the sender has something to change."""
    # What services log of the archive, the findings say.
    configure("ERROR", "text")
    content_type = await content_type_of(path, type_)
    headers = as_organisation(org or LOCAL_ORG_ID, cluster)
    found = await findings(services, Trial(path, content_type, headers, lenient=not strict))
    if as_json:
        print(orjson.dumps([asdict(finding) for finding in found], option=orjson.OPT_INDENT_2).decode())
    else:
        _show(found, content_type)
    if bad := [finding.service for finding in found if not finding.is_good]:
        fail(f"not taken by {', '.join(bad)}")


def _show(found: Sequence[Finding], content_type: str) -> None:
    output = Output()
    output.line(f"as {content_type}:")
    for finding in found:
        output.line()
        style = "" if finding.is_good else "red"
        output.line(f"{finding.service} {finding.outcome}: {finding.text}", style=style)
        output.line(f"  {CONTRACT}#{finding.line}")
    if len(found) == 1 and found[0].is_good:
        output.line()
        output.line("No service behind ingress takes such an upload.")
