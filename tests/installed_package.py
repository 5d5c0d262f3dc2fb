"""The package as others get it: a wheel, in an environment that knows nothing of this checkout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from left_processes import TOKEN
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from braze_platform.settings import PROJECT_ROOT

#: Writes down which files of the checkout are opened, by any process of the environment. What lies in the environment
#: that runs the tests is lent, wherever that is.
_WATCH = """
import os, sys
def watch(event, arguments):
    if event == "open" and isinstance(arguments[0], (str, bytes)):
        path = os.path.abspath(os.fsdecode(arguments[0]))
        if path.startswith({checkout!r}) and not path.startswith({lent!r}):
            out = os.open({log!r}, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(out, (path + "\\n").encode())
            os.close(out)
sys.addaudithook(watch)
"""

#: Lets Python find no module of some files, and the platform itself import none of some packages.
_HIDE = """
import builtins, json, sys
from importlib.machinery import PathFinder
with open({hidden!r}) as file:
    hidden = frozenset(json.load(file))
find, load = PathFinder.find_spec, builtins.__import__
def find_spec(name, path=None, target=None):
    spec = find(name, path, target)
    return None if spec is not None and spec.origin in hidden else spec
def load_module(name, globals=None, locals=None, fromlist=(), level=0):
    importer = (globals or {{}}).get("__name__", "")
    if level == 0 and name.partition(".")[0] in {refused!r} and importer.startswith("braze_platform"):
        raise ModuleNotFoundError("No module named %r" % name, name=name)
    return load(name, globals, locals, fromlist, level)
PathFinder.find_spec = staticmethod(find_spec)
builtins.__import__ = load_module
"""


def build_wheel(folder: Path) -> Path:
    """Build the wheel into a folder, without a network."""
    command = [sys.executable, "-m", "uv", "build", "--wheel", "--offline", "--no-build-isolation"]
    command += ["--python", sys.executable, "--out-dir", str(folder), str(PROJECT_ROOT)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    return next(folder.glob("*.whl"))


@dataclass(frozen=True)
class InstalledPackage:
    """An environment of its own with a wheel in it; all other packages are lent by the one that runs the tests."""

    folder: Path

    @classmethod
    def of(cls, wheel: Path, folder: Path) -> InstalledPackage:
        """Make the environment."""
        venv.create(folder, symlinks=True)
        installed = cls(folder)
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--offline",
            "--no-deps",
            "--compile-bytecode",
        ]
        command += ["--python", str(installed.python), str(wheel)]
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
        # Lines of paths: what they name is searched, and its own lines, such as that of this checkout, are not.
        (installed.site / "lent.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
        program = installed.folder / "bin" / "dbt"
        program.write_text(f"#!{installed.python}\nfrom dbt.cli.main import cli\ncli()\n")
        program.chmod(0o755)
        return installed

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def site(self) -> Path:
        return next((self.folder / "lib").glob("python*/site-packages"))

    def run(
        self, *arguments: str, cwd: Path, environment: Mapping[str, str] | None = None, timeout: float = 600
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the environment to its end, with none of the settings that this process has."""
        return subprocess.run(
            self._command(arguments),
            cwd=cwd,
            env=_environment(environment or {}),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str, cwd: Path) -> subprocess.Popen[str]:
        """Start a program of the environment; what it says is in its `stdout`."""
        return subprocess.Popen(
            self._command(arguments),
            cwd=cwd,
            env=_environment({"PYTHONUNBUFFERED": "1"}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _command(self, arguments: Sequence[str]) -> list[str]:
        return [str(self.folder / "bin" / arguments[0]), *arguments[1:]]

    def files(self) -> dict[str, bytes]:
        """What is in the installed package, without compiled modules."""
        root = self.site / "braze_platform"
        return {
            str(path.relative_to(root)): path.read_bytes()
            for path in root.rglob("*")
            if path.is_file() and path.suffix != ".pyc"
        }

    def watch_checkout(self) -> Path:
        """From now on, write down the files of the checkout that are opened; gives where."""
        log = self.folder / "opened"
        self._at_start(
            "watch", _WATCH.format(checkout=f"{PROJECT_ROOT}/", lent=f"{sys.prefix}/", log=str(log))
        )
        return log

    def hide_extras(self, refused: tuple[str, ...]) -> None:
        """From now on, find only what the wheel asks for without extras, and let the platform not import `refused`."""
        wanted = requirements_of(Distribution.at(next(self.site.glob("braze_platform-*.dist-info"))))
        lent = Path(sysconfig.get_path("purelib"))
        files: dict[bool, set[str]] = {True: set(), False: set()}
        for found in map(Distribution.at, lent.glob("*.dist-info")):
            files[canonicalize_name(found.name) in wanted] |= {str(lent / file) for file in found.files or ()}
        # some packages share a file, such as that of the name under which they all stand
        hidden = self.folder / "hidden.json"
        hidden.write_text(
            json.dumps([file for file in files[False] - files[True] if file.endswith((".py", ".so"))])
        )
        self._at_start("hide", _HIDE.format(hidden=str(hidden), refused=refused))

    def _at_start(self, name: str, code: str) -> None:
        (self.site / f"_{name}_in_tests.py").write_text(code)
        (self.site / f"{name}.pth").write_text(f"import _{name}_in_tests\n")


def _environment(changes: Mapping[str, str]) -> dict[str, str]:
    settings = ("BRAZE_", "BIGQUERY_", "STORAGE_", "DAGSTER_", "DBT_", "PYTHON")
    kept = {
        name: value for name, value in os.environ.items() if name == TOKEN or not name.startswith(settings)
    }
    return {**kept, **changes}


def requirements_of(package: Distribution) -> set[str]:
    """The names of all packages that come with a package, by its own requirements and theirs."""
    seen: set[tuple[str, str]] = set()
    pending = [(package, "")]
    while pending:
        current, extra = pending.pop()
        for line in current.requires or ():
            requirement = Requirement(line)
            if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
                continue
            for asked in ("", *sorted(requirement.extras)):
                key = (canonicalize_name(requirement.name), asked)
                if key not in seen:
                    seen.add(key)
                    pending.append((distribution(requirement.name), asked))
    return {name for name, _ in seen}
