{#- Tests of an incremental model look at the rows that were done again: the others were looked at when they were. -#}
{% macro get_where_subquery(relation) -%}
    {%- set where = config.get("where", "") -%}
    {%- set tested = graph.nodes.get(model.attached_node, {}) if execute else {} -%}
    {%- set redo = tested.get("config", {}).get("meta", {}).get("redo", {}) -%}
    {%- set ranges = redo_ranges(tested.get("name")) -%}
    {%- if ranges is not none and redo.get("column") and tested.config.materialized == "incremental" -%}
        {%- set recent = in_redo_ranges(
            ranges,
            redo.column,
            redo.get("before_days", 0) + var("duplicates_look_back_days"),
            redo.get("after_days", 0),
            redo.get("kind", "timestamp"),
        ) -%}
        {%- set where = "(" ~ where ~ ") and " ~ recent if where else recent -%}
    {%- endif -%}
    {%- if ranges is not none and redo.get("snapshot") -%}
        {%- set recent = redo.snapshot ~ " = " ~ latest_day() -%}
        {%- set where = "(" ~ where ~ ") and " ~ recent if where else recent -%}
    {%- endif -%}
    {%- if where -%}
        {{ return("(select * from " ~ relation ~ " where " ~ where ~ ") as dbt_subquery") }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
