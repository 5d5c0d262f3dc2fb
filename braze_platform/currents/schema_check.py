"""The asset check that compares the schemas of loaded files with the catalogue."""

import dagster as dg

from braze_platform.currents.catalogue import EventType
from braze_platform.currents.load_report import EventTypeLoad
from braze_platform.currents.schemas import FieldDifference, SeenSchema, differences
from braze_platform.markdown import table

#: So many differing fields stand in the sentence of the check; its table has all.
_NAMED = 8
SCHEMA_MATCHES_CATALOGUE = "schema_matches_catalogue"


def schema_check_spec(key: dg.AssetKey, event_type: str) -> dg.AssetCheckSpec:
    """The check of one raw asset."""
    return dg.AssetCheckSpec(
        SCHEMA_MATCHES_CATALOGUE,
        asset=key,
        description=(
            f"The files of {event_type} in the loaded days have the fields and types that the catalogue declares. "
            "Nothing is lost otherwise: new fields become columns, values of another type are kept in a column beside."
        ),
    )


def schema_check_result(
    check: dg.AssetCheckKey, event_type: EventType, loaded: EventTypeLoad
) -> dg.AssetCheckResult:
    """Passed when no schema of the loaded days differs; a warning that names the fields otherwise."""
    found: dict[FieldDifference, list[SeenSchema]] = {}
    for seen in loaded.schemas:
        for difference in differences(event_type, seen):
            found.setdefault(difference, []).append(seen)
    return dg.AssetCheckResult(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "schemas": len(loaded.schemas),
            "versions": ", ".join(seen.version for seen in loaded.schemas),
            **({"differences": dg.MetadataValue.md(_table(found))} if found else {}),
        },
        description=_sentence(list(found)),
    )


def _sentence(found: list[FieldDifference]) -> str | None:
    more = f"; and {len(found) - _NAMED} more fields" if len(found) > _NAMED else ""
    return "; ".join(map(str, found[:_NAMED])) + more if found else None


def _table(found: dict[FieldDifference, list[SeenSchema]]) -> str:
    return table(
        ["field", "change", "in files", "in the catalogue", "kept in", "versions", "example"],
        [
            [
                *(one.field, one.change, one.in_files, one.in_catalogue, one.kept_in or one.field),
                *(", ".join(schema.version for schema in seen), seen[-1].example_file),
            ]
            for one, seen in found.items()
        ],
    )
