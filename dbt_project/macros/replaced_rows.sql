{#- Where a model's rows to be replaced lie, by its `meta: {rebuild: ...}`:
      column, kind   the column of hours (timestamp) or days (date) by which it is reprocessed
      before_days, after_days   how far beyond the changed hours its rows are replaced
      reach_before_days, reach_after_days   where rows may lie that are replaced because their key comes again
      follows        of a view: see get_where_subquery.sql
      snapshot, keep_days   for a model that keeps what it once was: the column of days by which it does. The day of the latest
                     hour is replaced, days older than that by more than keep_days go, all others stay -#}
{% macro replaced_rows(prefix="") -%}
    {%- set rebuild = config.get("meta", {}).get("rebuild", {}) -%}
    {%- if rebuild.get("snapshot") -%}
        {%- set day = prefix ~ rebuild.snapshot -%}
        {{
            return(
                "("
                ~ day
                ~ " = "
                ~ latest_day()
                ~ " or "
                ~ day
                ~ " < "
                ~ latest_day(days_before=rebuild.keep_days)
                ~ ")"
            )
        }}
    {%- endif -%}
    {%- if not rebuild.get("column") -%} {{ return("false") }} {%- endif -%}
    {{
        return(
            in_hour_ranges(
                own_ranges(),
                prefix ~ rebuild.column,
                rebuild.get("before_days", 0),
                rebuild.get("after_days", 0),
                rebuild.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- Whether rows are replaced because their key comes again: always without a column of hours, else with a reach. -#}
{% macro replaces_by_key() -%}
    {%- set rebuild = config.get("meta", {}).get("rebuild", {}) -%}
    {{ return(not rebuild.get("column") or "reach_before_days" in rebuild) }}
{%- endmacro %}

{% macro reached_rows(prefix="") -%}
    {%- set rebuild = config.get("meta", {}).get("rebuild", {}) -%}
    {%- if rebuild.get("snapshot") -%}
        {{
            return(
                prefix
                ~ rebuild.snapshot
                ~ " >= "
                ~ latest_day(days_before=rebuild.get("keep_days"))
            )
        }}
    {%- endif -%}
    {%- if "reach_before_days" not in rebuild -%} {{ return("true") }} {%- endif -%}
    {{
        return(
            in_hour_ranges(
                own_ranges(),
                prefix ~ rebuild.column,
                rebuild.reach_before_days,
                rebuild.get("reach_after_days", 0),
                rebuild.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- Bounds of all rows that can be replaced, for a warehouse that does not see them in what the two above say together;
    none where there are none. -#}
{% macro rows_in_reach(prefix="") -%}
    {%- set rebuild = config.get("meta", {}).get("rebuild", {}) -%}
    {%- if "reach_before_days" not in rebuild -%} {{ return(none) }} {%- endif -%}
    {%- set ranges = own_ranges() -%}
    {%- if not ranges -%} {{ return("false") }} {%- endif -%}
    {{
        return(
            in_hour_ranges(
                [[ranges[0][0], ranges[-1][1]]],
                prefix ~ rebuild.column,
                [rebuild.get("before_days", 0), rebuild.reach_before_days] | max,
                [rebuild.get("after_days", 0), rebuild.get("reach_after_days", 0)] | max,
                rebuild.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- The day of the latest hour that is loaded, or one before it, as a constant. Where the platform did not hand the hour over
    (dbt by hand) it is looked up; the model that asks refers to int_message_events. -#}
{% macro latest_day(days_before=0) -%}
    {%- set found = run_context("latest_hour") -%}
    {%- if execute and not found -%}
        {%- set found = run_query(
            "select cast(max(delivered_hour) as " ~ column_type("string") ~ ") from " ~ ref(
                "int_message_events"
            )
        ).columns[0].values()[0] -%}
    {%- endif -%}
    {%- if not found -%} {{ return("date '1970-01-01'") }} {%- endif -%}
    {%- set day = hour_from_text(found[:10] ~ " 00:00:00") - modules.datetime.timedelta(
        days=days_before
    ) -%}
    {{ return("date '" ~ day.strftime("%Y-%m-%d") ~ "'") }}
{%- endmacro %}
