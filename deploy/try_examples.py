"""Run examples/ against the built wheels, with nothing of the checkout around: `make test-examples`.

The wheels of headrace and pytest-headrace go into a virtual environment of their own, which has what they need from the
checkout's: the same locked versions, and nothing to download. Each example is copied out of the tree and run there,
on a stack that it starts itself.
"""

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
COMMANDS = {"python": ("pytest", "-q"), "go": ("go", "test", "-count=1", "./..."), "shell": ("./test.sh",)}
SECONDS = 900


def installed(work: Path) -> Path:
    """The programs of an environment with the wheels."""
    wheels = [
        path
        for root in (ROOT, ROOT / "pytest-headrace")
        for path in WheelBuilder(str(root)).build(directory=str(work / "dist"), versions=["standard"])
    ]
    made = work / "venv"
    venv.create(made, symlinks=True, with_pip=False)
    python = made / "bin" / "python"
    pip = (
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
    )
    subprocess.run((*pip, *wheels), check=True, timeout=SECONDS)
    site = subprocess.run(
        (python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"),
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout.strip()
    # A path file within the folder that it names is not read: the checkout itself stays out.
    Path(site, "locked.pth").write_text(sysconfig.get_path("purelib") + "\n", encoding="utf-8")
    pytest = made / "bin" / "pytest"
    pytest.write_text(f"#!{python}\nimport pytest\nraise SystemExit(pytest.main())\n", encoding="utf-8")
    pytest.chmod(0o755)
    return made / "bin"


def main() -> int:
    chosen = sys.argv[1:] or [
        name for name, words in COMMANDS.items() if name != "go" or shutil.which(words[0])
    ]
    with tempfile.TemporaryDirectory(prefix="headrace-examples-") as name:
        work = Path(name)
        programs = installed(work)
        environment = {
            name: value
            for name, value in os.environ.items()
            if name != "HEADRACE_STACK" and not name.startswith("PYTHON")
        }
        environment |= {"PATH": f"{programs}:{os.environ['PATH']}", "PYTHONDONTWRITEBYTECODE": "1"}
        for example in chosen:
            folder = work / example
            shutil.copytree(ROOT / "examples" / example, folder)
            done = subprocess.run(
                COMMANDS[example], cwd=folder, env=environment, check=False, timeout=SECONDS
            )
            print(f"{'PASS' if done.returncode == 0 else 'FAIL'} examples/{example}", flush=True)
            if done.returncode:
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
