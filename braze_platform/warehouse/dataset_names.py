"""The names of data sets: the one place in which an installation's prefix is put before a name, once.

Everything else (SQL, dbt, doctor, erasure) knows data sets by their logical names (`marts`, `currents_raw`) and asks
here for the physical ones. dbt asks the environment variable `BRAZE_PLATFORM_DATASETS`, which is rendered here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from braze_platform.settings import Settings

#: Tables that live for minutes.
TEMPORARY = "braze_temporary"
#: Data sets that the platform makes, and those that dbt makes with the rights of the same account.
PLATFORM_DATASETS = (
    "currents_raw",
    "currents_ledger",
    "braze_workspace",
    TEMPORARY,
    "braze_sync",
    "privacy",
    "marts_ledger",
    "staging",
    "intermediate",
    "marts",
    "attributes",
    "braze_platform",
)
#: Data sets with the company's own tables, which the platform reads and never makes.
COMPANY_DATASETS = ("company",)
#: Where dbt would keep the rows that fail a test, if it were told to (`store_failures`).
_DBT_TEST_AUDIT = "dbt_test__audit"
#: The environment variable in which dbt finds the rendered names: a JSON object, logical to physical.
ENVIRONMENT_VARIABLE = "BRAZE_PLATFORM_DATASETS"


@dataclass(frozen=True)
class DatasetNames:
    """Renders logical names as an installation's physical ones.

    The prefix is put before every name, whatever the name begins with, so that two names never become one.
    (None of the platform's names ends in another one either: installations with different prefixes share none.)
    """

    prefix: str = ""

    def physical(self, logical: str) -> str:
        """The data set in the warehouse.

        >>> DatasetNames("marts").physical("marts_ledger"), DatasetNames().physical("marts")
        ('martsmarts_ledger', 'marts')
        """
        return f"{self.prefix}{logical}"

    def as_environment(self, project: Mapping[str, Any]) -> dict[str, str]:
        """The rendered names of the platform's data sets and of those that a `dbt_project.yml` names by `schema`."""
        logical = {*PLATFORM_DATASETS, *COMPANY_DATASETS, _DBT_TEST_AUDIT, *_declared_schemas(project)}
        return {ENVIRONMENT_VARIABLE: json.dumps({name: self.physical(name) for name in sorted(logical)})}


def dataset_names(settings: Settings) -> DatasetNames:
    """The names of an installation. The local warehouse is a file of its own, in which names stand as they are."""
    return DatasetNames(settings.bigquery_dataset_prefix if settings.target == "bigquery" else "")


def dbt_datasets(settings: Settings) -> dict[str, str]:
    """The environment variable from which dbt takes the names of an installation's data sets."""
    path = settings.dbt_project_dir / "dbt_project.yml"
    project = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return dataset_names(settings).as_environment(project or {})


def logical_schema(node: Mapping[str, Any]) -> str:
    """The logical name of the data set of a model in dbt's manifest, whose `schema` is the physical one.

    Every model of the project has a configured schema (`+schema` in `dbt_project.yml`).
    """
    return str((node.get("config") or {}).get("schema") or node["schema"]).strip()


def _declared_schemas(project: Mapping[str, Any]) -> Iterator[str]:
    """What `schema` and `+schema` say anywhere under models, seeds, snapshots and tests."""
    todo = [project.get(kind) for kind in ("models", "seeds", "snapshots", "data_tests", "tests")]
    while todo:
        tree = todo.pop()
        if not isinstance(tree, Mapping):
            continue
        for key, value in tree.items():
            if key in ("schema", "+schema"):
                if isinstance(value, str):
                    yield value.strip()
            else:
                todo.append(value)
