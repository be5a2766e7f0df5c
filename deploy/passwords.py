"""A random password for every variable that compose.yaml has no default for, into .env beside it.

What stands there, or in the environment, stays. Run again, it adds only what a new service needs.
"""

import os
import re
import secrets
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REQUIRED = re.compile(r"\$\{(\w+):\?")


def main() -> int:
    path = ROOT / ".env"
    wanted = dict.fromkeys(REQUIRED.findall((ROOT / "compose.yaml").read_text(encoding="utf-8")))
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    given = {line.partition("=")[0].strip() for line in text.splitlines() if line.partition("=")[2].strip()}
    missing = [name for name in wanted if name not in given and not os.environ.get(name)]
    if not missing:
        return 0
    lines = "".join(f"{name}={secrets.token_hex(24)}\n" for name in missing)
    # Its owner's alone before anything secret is in it.
    path.touch(mode=0o600)
    path.chmod(0o600)
    with path.open("a", encoding="utf-8") as file:
        file.write(lines if not text or text.endswith("\n") else "\n" + lines)
    print(f"{path}: passwords for {', '.join(missing)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
