"""The documentation site: `make site` lays out its pages here, lets Zensical build them, and looks at the result.

Pages are those of `docs/` and of the repository's root, and a reference of HTTP APIs and topics that is made from the
services' own documents. `deploy/site.toml` has the navigation.
"""

import argparse
import asyncio
import re
import shutil
import subprocess
import sys
from pathlib import Path

from pages_reference import api_pages, topics_page

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "deploy" / "site.toml"
SEEDS = ROOT / "docs" / "seeds"
# By their names in the site; the README is its first page.
OF_THE_ROOT = {"README.md": "index.md"} | {
    name: name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
}
LINK = re.compile(r"(!?)\[([^\[\]]*)\]\(([^)\s]+)\)")
FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)
# What a browser fetches by itself, from wherever it is told to.
FETCHED = re.compile(
    r"<(?:script|img|iframe|source)[^>]+src=[\"']?(?:https?:)?//[^\"' >]+|url\([\"']?(?:https?:)?//[^)]+"
    r"|<link[^>]+rel=[\"']?(?:stylesheet|preconnect|icon|preload)[^>]*href=[\"']?(?:https?:)?//[^>]+"
)


def pages() -> dict[Path, str]:
    """Return the text of every page by its path in the site."""
    found = {}
    for source in sorted((ROOT / "docs").rglob("*.md")):
        found[source.relative_to(ROOT / "docs")] = linked(source)
    for name, target in OF_THE_ROOT.items():
        found[Path(target)] = linked(ROOT / name)
    found |= asyncio.run(api_pages())
    found[Path("topics.md")] = topics_page((ROOT / "docs" / "asyncapi.json").read_text(encoding="utf-8"))
    return found


def linked(source: Path) -> str:
    """Return a page whose links to other pages are those of the site, and whose links to code are its names."""

    def replaced(match: re.Match[str]) -> str:
        mark, words, link = match.groups()
        path, hash_, anchor = link.partition("#")
        if not path or ":" in link:
            # A picture from elsewhere would be fetched by whoever reads the page.
            return words if mark and path else match[0]
        found = (source.parent / path).resolve()
        target = place(found)
        # The upstream documents link to what only upstream's repositories have.
        if target is None or (SEEDS in source.parents and not found.exists()):
            return words
        up = [".."] * (len(place(source).parts) - 1)
        return f"{mark}[{words}]({'/'.join([*up, target.as_posix()])}{hash_}{anchor})"

    # A browser would fetch what draws such a block.
    text = source.read_text(encoding="utf-8").replace("```mermaid", "```text")
    parts = FENCE.split(text)
    return "".join(part if number % 2 else LINK.sub(replaced, part) for number, part in enumerate(parts))


def place(path: Path) -> Path | None:
    """Return where the site has a file of the repository; None for code, which it does not have."""
    if path.is_dir() and (path / "README.md").exists():
        path /= "README.md"
    if path.is_relative_to(ROOT / "docs"):
        return path.relative_to(ROOT / "docs")
    name = OF_THE_ROOT.get(path.name) if path.parent == ROOT else None
    return Path(name) if name else None


def lay_out(folder: Path) -> None:
    """Write the pages, their pictures and the configuration below a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for path, text in pages().items():
        target = folder / "docs" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    for source in (ROOT / "docs").rglob("*"):
        if source.suffix in {".svg", ".png", ".json"}:
            shutil.copy(source, folder / "docs" / source.relative_to(ROOT / "docs"))
    shutil.copy(CONFIG, folder / "zensical.toml")


def strangers(site: Path) -> list[str]:
    """Return what the built pages would fetch from other hosts."""
    return sorted(
        f"{path.relative_to(site)}: {match[0][:120]}"
        for path in site.rglob("*")
        if path.suffix in {".html", ".css"}
        for match in FETCHED.finditer(path.read_text(encoding="utf-8"))
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("zensical", type=Path, help="program that builds the site")
    parser.add_argument("--work", type=Path, default=ROOT / ".site", help="folder for the laid out pages")
    parser.add_argument("--output", type=Path, default=ROOT / "site", help="folder of the built site")
    options = parser.parse_args()
    lay_out(options.work)
    done = subprocess.run(
        [options.zensical.absolute(), "build", "--clean", "--strict"], cwd=options.work, check=False
    )
    if done.returncode:
        sys.exit(done.returncode)
    built = options.work / "site"
    if found := strangers(built):
        sys.exit("these would be fetched from other hosts:\n" + "\n".join(found))
    shutil.rmtree(options.output, ignore_errors=True)
    shutil.move(built, options.output)
    print(f"{options.output}: {sum(1 for _ in options.output.rglob('*.html'))} pages")


if __name__ == "__main__":
    main()
