"""How dbt's models appear as assets: keys, groups, owners, descriptions, automation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from braze_platform.marts.automation import (
    Condition,
    LoadTriggers,
    erasure_condition,
    model_condition,
    staging_condition,
)

OWNERS = ["team:crm-analytics"]
#: The dbt source of what syncs write at the end of every run.
_SYNCS = "braze_sync"


def source_keys(manifest: Mapping[str, Any]) -> list[dg.AssetKey]:
    """Asset keys of the tables that the project reads and does not make, in order."""
    return sorted(_source_key(properties) for properties in manifest["sources"].values())


def marked_source_keys(manifest: Mapping[str, Any], mark: str) -> list[dg.AssetKey]:
    """The sources with `meta: {<mark>: true}`, in order.

    `anchor`: nearly every installation has data in one of them. `loaded_last`: the anchor that a load ends with.
    `automated`: automation asks for it, no sensor does.
    """
    return sorted(
        _source_key(properties)
        for properties in manifest["sources"].values()
        if properties["config"]["meta"].get(mark)
    )


def model_key(manifest: Mapping[str, Any], name: str) -> dg.AssetKey:
    """The asset key `[<folder>, <model>]` of a model by its name; raises `KeyError` when there is none."""
    for properties in manifest["nodes"].values():
        if properties["resource_type"] == "model" and properties["alias"] == name:
            return dg.AssetKey([_folder(properties), name])
    raise KeyError(f"There is no dbt model {name} in the manifest.")


def staging_automation(manifest: Mapping[str, Any]) -> Condition:
    """When staging models are built."""
    return staging_condition(_load_triggers(manifest))


def erasure_automation(manifest: Mapping[str, Any]) -> Condition:
    """When people are erased: in the run of the staging models, for they come after it."""
    return erasure_condition(_load_triggers(manifest))


def _load_triggers(manifest: Mapping[str, Any]) -> LoadTriggers:
    automated = marked_source_keys(manifest, "automated")
    # Tables that are loaded together need one to tell that they are being loaded.
    company_tables = [key for key in source_keys(manifest) if key.path[0] == "company"]
    [loaded_last] = marked_source_keys(manifest, "loaded_last")
    return LoadTriggers(
        [*company_tables, *automated], marked_source_keys(manifest, "anchor"), automated, loaded_last
    )


class PlatformTranslator(DagsterDbtTranslator):
    """Sources are the raw assets themselves (`currents/<table>`, `company/<table>`); a model is `<folder>/<name>`.

    A model with `meta: {triggered_by: [<model>, ...]}` is built after changes of those models, and not of all that it
    reads: for models over all raw tables, of which some never get data.

    `code_versions`, by model: automation builds a model again when its own changes.
    """

    def __init__(self, manifest: Mapping[str, Any], code_versions: Mapping[str, str] | None = None) -> None:
        # Columns of sources come with the raw assets, from the catalogue.
        super().__init__(DagsterDbtTranslatorSettings(enable_source_metadata=False))
        self._manifest = manifest
        self._code_versions = code_versions or {}
        self._conditions = {"staging": staging_automation(manifest)}
        self._reading = model_condition()
        # By name: a selection by prefix leaves out what no asset is executed for.
        records = [key for key in source_keys(manifest) if key.path[0] == _SYNCS]
        self._reading_records = model_condition(ignored=dg.AssetSelection.assets(*records))
        self._other_condition = model_condition(reads_sources=False)

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """`[<source>, <table>]` or `[<folder>, <model>]`."""
        if dbt_resource_props["resource_type"] == "source":
            return _source_key(dbt_resource_props)
        return dg.AssetKey([_folder(dbt_resource_props), dbt_resource_props["alias"]])

    def get_asset_spec(
        self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None
    ) -> dg.AssetSpec:
        """The spec of a model; for a source only its key matters."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        properties = self.get_resource_props(manifest, unique_id)
        if properties["resource_type"] != "model":
            return spec
        folder = _folder(properties)
        materialised = properties["config"]["materialized"]
        return spec.replace_attributes(
            description=properties["description"],
            group_name=folder,
            owners=OWNERS,
            kinds={"dbt", manifest["metadata"]["adapter_type"], materialised},
            automation_condition=self._condition(properties),
            code_version=self._code_versions.get(properties["alias"], spec.code_version),
        ).merge_attributes(tags={"layer": folder})

    def get_asset_check_spec(
        self,
        asset_spec: dg.AssetSpec,
        manifest: Mapping[str, Any],
        unique_id: str,
        project: DbtProject | None,
    ) -> dg.AssetCheckSpec | None:
        """The check of a dbt test. A failing one holds back no asset: what it stops is the sending (`test_results`)."""
        spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
        return None if spec is None else spec._replace(blocking=False, additional_deps=[])

    def _condition(self, properties: Mapping[str, Any]) -> Condition:
        sources = {str(source[0]) for source in properties.get("sources", [])}
        if triggered_by := properties["config"]["meta"].get("triggered_by"):
            only = dg.AssetSelection.assets(*(model_key(self._manifest, name) for name in triggered_by))
            return model_condition(only=only, reads_sources=False)
        if _SYNCS in sources:
            # What a build leads to is not a reason for another: deliveries are taken in with the next load.
            return self._reading_records
        return self._conditions.get(_folder(properties), self._reading if sources else self._other_condition)


def _source_key(properties: Mapping[str, Any]) -> dg.AssetKey:
    return dg.AssetKey([properties["source_name"], properties["name"]])


def _folder(properties: Mapping[str, Any]) -> str:
    """The folder under models/: fqn is project, folder, ..., model."""
    return str(properties["fqn"][1])
