{#- Which hours a model reprocesses. The platform reads the file registry before a run and passes, per incremental model,
    the ranges of hours that changed since that model was built (environment variable BRAZE_PLATFORM_REBUILD_WINDOW). They
    become constants in the SQL, so that BigQuery reads only their partitions. dbt by hand, without the variable, does a
    full refresh. -#}
{#- What the platform passes to the run under a name; none without the platform, and while dbt only parses. -#}
{% macro run_context(name) -%}
    {%- if not execute -%} {{ return(none) }} {%- endif -%}
    {{ return(fromjson(env_var("BRAZE_PLATFORM_REBUILD_WINDOW", "{}")).get(name)) }}
{%- endmacro %}

{#- The ranges of a model as [first hour, last hour] texts; none when the model is to be built as a whole. -#}
{% macro rebuild_ranges(name) -%}
    {{ return((run_context("models") or {}).get(name)) }}
{%- endmacro %}

{#- The ranges of the model that is being built, as the platform passed them; none for a whole build. -#}
{% macro requested_ranges() -%}
    {{ return(none if flags.FULL_REFRESH else rebuild_ranges(model.alias)) }}
{%- endmacro %}

{#- The ranges that the model that is being built reprocesses: those requested, or in a whole build all hours that the raw
    tables still have, where its table holds others (see kept_hours.sql). None when nothing of its table stays. -#}
{% macro own_ranges() -%}
    {%- set handed = requested_ranges() -%}
    {{ return(ranges_beside_kept_hours() if handed is none else handed) }}
{%- endmacro %}

{#- dbt asks this before it decides between a whole and an incremental build. -#}
{% macro should_full_refresh() -%}
    {%- set configured = config.get("full_refresh") -%}
    {%- if configured is none -%}
        {%- set configured = own_ranges() is none -%}
    {%- endif -%}
    {{ return(configured) }}
{%- endmacro %}

{#- Whether `column` lies in the hours that are reprocessed, widened by whole days; always true in a whole build. With
    kind="date" the column is a day. -#}
{% macro in_rebuild_window(column, before_days=0, after_days=0, kind="timestamp") -%}
    {%- if not is_incremental() or own_ranges() is none -%}
        {{ return("true") }}
    {%- endif -%}
    {{ return(in_hour_ranges(own_ranges(), column, before_days, after_days, kind)) }}
{%- endmacro %}

{% macro in_hour_ranges(ranges, column, before_days=0, after_days=0, kind="timestamp") -%}
    {%- set written = "%Y-%m-%d" if kind == "date" else "%Y-%m-%d %H:%M:%S" -%}
    {%- set parts = [] -%}
    {%- for first, last in ranges -%}
        {%- set from = hour_from_text(first) - modules.datetime.timedelta(days=before_days) -%}
        {%- set to = hour_from_text(last) + modules.datetime.timedelta(days=after_days) -%}
        {%- do parts.append(
            column
            ~ " between "
            ~ kind
            ~ " '"
            ~ from.strftime(written)
            ~ "' and "
            ~ kind
            ~ " '"
            ~ to.strftime(written)
            ~ "'"
        ) -%}
    {%- endfor -%}
    {{ return("(" ~ (parts | join(" or ")) ~ ")" if parts else "false") }}
{%- endmacro %}

{% macro hour_from_text(text) -%}
    {{ return(modules.datetime.datetime.strptime(text, "%Y-%m-%d %H:%M:%S")) }}
{%- endmacro %}

{#- The latest hour that is loaded, as a constant where the platform passed it: the clock of the data. -#}
{% macro latest_hour(relation) -%}
    {%- set hour = run_context("latest_hour") -%}
    {%- if hour -%} timestamp '{{ hour }}'
    {%- else -%} (select max(delivered_hour) from {{ relation }})
    {%- endif -%}
{%- endmacro %}

{#- Days of hours that were loaded after this run had looked at the file registry, each with the days of the look-back after
    it, to be excluded by what compares raw tables with models that were built from them: on BigQuery a load may commit
    between the two. Its hours belong to the next build. Nothing without the platform's number of the last load.

    Not a dbt source: the file registry is not an asset, and what it tells is not data that a model is made of. -#}
{% macro days_loaded_since(look_back) -%}
    {%- set load_id = run_context("latest_load_id") -%}
    {%- if load_id -%}
        select distinct {{ date_after("cast(hour as date)", "days_later") }} as day
        from {{ file_registry() }}
        cross join
            (
                {%- for days in range(look_back + 1) %}
                    select {{ days }} as days_later {{ "union all" if not loop.last }}
                {%- endfor %}
            ) as look_back
        where
            load_id > {{ load_id }}
            and {{ in_rebuild_window("hour", before_days=look_back + 1, after_days=1) }}
    {%- endif -%}
{%- endmacro %}

{#- The registry of files that were loaded. Not a dbt source: it is not an asset, and what it tells is not data that a model is made
    of. -#}
{% macro file_registry() -%}
    {{
        return(
            api.Relation.create(
                database=target.database,
                schema=dataset_name("currents_ledger"),
                identifier="files",
            )
        )
    }}
{%- endmacro %}
