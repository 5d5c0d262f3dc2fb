{#- Where a model's rows to be replaced lie, by its `meta: {redo: ...}`:
      column, kind   the column of hours (timestamp) or days (date) by which it is done again
      before_days, after_days   how far beyond the changed hours its rows are replaced
      reach_before_days, reach_after_days   where rows may lie that are replaced because their key comes again
      follows        of a view: see get_where_subquery.sql
      snapshot, keep_days   for a model that keeps what it once was: the column of days by which it does. The day of the latest
                     hour is replaced, days older than that by more than keep_days go, all others stay -#}
{% macro replaced_rows(prefix="") -%}
    {%- set redo = config.get("meta", {}).get("redo", {}) -%}
    {%- if redo.get("snapshot") -%}
        {%- set day = prefix ~ redo.snapshot -%}
        {{
            return(
                "("
                ~ day
                ~ " = "
                ~ latest_day()
                ~ " or "
                ~ day
                ~ " < "
                ~ latest_day(days_before=redo.keep_days)
                ~ ")"
            )
        }}
    {%- endif -%}
    {%- if not redo.get("column") -%} {{ return("false") }} {%- endif -%}
    {{
        return(
            in_redo_ranges(
                own_ranges(),
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
    {%- if redo.get("snapshot") -%}
        {{
            return(
                prefix
                ~ redo.snapshot
                ~ " >= "
                ~ latest_day(days_before=redo.get("keep_days"))
            )
        }}
    {%- endif -%}
    {%- if "reach_before_days" not in redo -%} {{ return("true") }} {%- endif -%}
    {{
        return(
            in_redo_ranges(
                own_ranges(),
                prefix ~ redo.column,
                redo.reach_before_days,
                redo.get("reach_after_days", 0),
                redo.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- Bounds of all rows that can be replaced, for a warehouse that does not see them in what the two above say together;
    none where there are none. -#}
{% macro rows_in_reach(prefix="") -%}
    {%- set redo = config.get("meta", {}).get("redo", {}) -%}
    {%- if "reach_before_days" not in redo -%} {{ return(none) }} {%- endif -%}
    {%- set ranges = own_ranges() -%}
    {%- if not ranges -%} {{ return("false") }} {%- endif -%}
    {{
        return(
            in_redo_ranges(
                [[ranges[0][0], ranges[-1][1]]],
                prefix ~ redo.column,
                [redo.get("before_days", 0), redo.reach_before_days] | max,
                [redo.get("after_days", 0), redo.get("reach_after_days", 0)] | max,
                redo.get("kind", "timestamp"),
            )
        )
    }}
{%- endmacro %}

{#- The day of the latest hour that is loaded, or one before it, as a constant. Where the platform did not hand the hour over
    (dbt by hand) it is looked up; the model that asks refers to int_message_events. -#}
{% macro latest_day(days_before=0) -%}
    {%- set found = handed_over("latest_hour") -%}
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
