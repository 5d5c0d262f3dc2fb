{#- Tests of an incremental model look at the rows that were reprocessed: the others were looked at when they were. So do
    tests of views over such models, by `meta: {rebuild: ...}` (see replaced_rows.sql). A view that `follows` cannot be bounded
    before all of it is computed; hour by hour the tests of the models that it is made of stand for its own, which look at
    all of it when it or one of these is built as a whole. A model of which a test failed is tested as a whole until it passes.

    No model waits for a test, and a test that fails stops no model: `dbt build` skips what stands below a failed test only
    where it stands below all that the test depends on, and below the model named here stands nothing. -#}
{% macro get_where_subquery(relation) -%}
    {%- if not execute -%} {%- do ref("no_model_waits_for_tests") -%} {%- endif -%}
    {%- set where = config.get("where", "") -%}
    {%- set tested = graph.nodes.get(model.attached_node, {}) if execute else {} -%}
    {%- set rebuild = tested.get("config", {}).get("meta", {}).get("rebuild", {}) -%}
    {%- set ranges = rebuild_ranges(tested.get("name")) -%}
    {%- if tested.get("name") in (run_context("tested_as_whole") or []) -%}
        {%- set ranges = none -%}
    {%- endif -%}
    {%- if ranges is not none and rebuild.get("column") -%}
        {%- set recent = in_hour_ranges(
            ranges,
            rebuild.column,
            rebuild.get("before_days", 0) + var("duplicates_look_back_days"),
            rebuild.get("after_days", 0),
            rebuild.get("kind", "timestamp"),
        ) -%}
        {%- set where = "(" ~ where ~ ") and " ~ recent if where else recent -%}
    {%- endif -%}
    {%- if ranges is not none and rebuild.get("snapshot") -%}
        {%- set recent = rebuild.snapshot ~ " = " ~ latest_day() -%}
        {%- set where = "(" ~ where ~ ") and " ~ recent if where else recent -%}
    {%- endif -%}
    {%- if ranges is not none and rebuild.get("follows") -%}
        {%- set where = "false" -%}
    {%- endif -%}
    {%- if where -%}
        {{ return("(select * from " ~ relation ~ " where " ~ where ~ ") as dbt_subquery") }}
    {%- endif -%}
    {{ return(relation) }}
{%- endmacro %}
