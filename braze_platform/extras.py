"""The extra of the package that the local target needs and production does without."""

from __future__ import annotations

from importlib.util import find_spec

#: Stands for the extra: neither is asked for by what production installs.
_LOCAL_PACKAGES = ("duckdb", "duckdb_extension_avro", "uvicorn")
INSTALL_LOCAL = "install it with: pip install 'braze-platform[local]'"


def lacks_local_extra() -> bool:
    """Whether a package of the extra `local` is missing; imports none."""
    return any(find_spec(package) is None for package in _LOCAL_PACKAGES)
