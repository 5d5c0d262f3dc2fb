{#- Where a model's rows to be replaced lie, by its `meta: {redo: ...}`:
      column, kind   the column of hours (timestamp) or days (date) by which it is done again
      before_days, after_days   how far beyond the changed hours its rows are replaced
      reach_before_days, reach_after_days   where rows may lie that are replaced because their key comes again -#}
{% macro replaced_rows(prefix="") -%}
    {%- set redo = config.get("meta", {}).get("redo", {}) -%}
    {%- if not redo.get("column") -%} {{ return("false") }} {%- endif -%}
    {{
        return(
            in_redo_ranges(
                redo_ranges(model.name),
                prefix ~ redo.column,
                redo.get("before_days", 0),
                redo.get("after_days", 0),
                redo.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- Whether rows are replaced because their key comes again: always without a column of hours, else with a reach. -#}
{% macro replaces_by_key() -%}
    {%- set redo = config.get("meta", {}).get("redo", {}) -%}
    {{ return(not redo.get("column") or "reach_before_days" in redo) }}
{%- endmacro %}

{% macro reached_rows(prefix="") -%}
    {%- set redo = config.get("meta", {}).get("redo", {}) -%}
    {%- if "reach_before_days" not in redo -%} {{ return("true") }} {%- endif -%}
    {{
        return(
            in_redo_ranges(
                redo_ranges(model.name),
                prefix ~ redo.column,
                redo.reach_before_days,
                redo.get("reach_after_days", 0),
                redo.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}
