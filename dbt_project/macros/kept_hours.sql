{#- What a whole build keeps. Raw tables may forget old hours (BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS, or a retention of the
    company's own); a whole build out of what they still have would then forget what was built from the others. A model that
    reads raw tables therefore leaves its rows of such hours as they are and does all others again, whatever asked for the
    build: a changed macro or variable, `dbt build --full-refresh`. With var forget_expired_hours they go.

    An hour that lost its files in the bucket is no such hour: the file registry knows that it is empty. But where raw tables
    expire, that says nothing of an hour older than they keep: a reload found its files gone long after its rows were. -#}
{#- The ranges of all hours that the raw tables below a model still have; none where its table holds no others. -#}
{% macro ranges_beside_kept_hours() -%}
    {%- if not execute -%} {{ return(none) }} {%- endif -%}
    {%- if "ranges_beside_kept_hours" not in model -%}
        {#- Asked once a model: the context of a node is its own. -#}
        {%- do model.update(
            {"ranges_beside_kept_hours": [_find_ranges_beside_kept_hours()]}
        ) -%}
    {%- endif -%}
    {{ return(model["ranges_beside_kept_hours"][0]) }}
{%- endmacro %}

{#- Whether a whole build leaves rows where they are. Whoever is handed hours does not ask: the answer reads all raw tables. -#}
{% macro is_built_beside_kept_hours() -%}
    {{
        return(
            execute
            and requested_ranges() is none
            and ranges_beside_kept_hours() is not none
        )
    }}
{%- endmacro %}

{% macro _find_ranges_beside_kept_hours() -%}
    {%- set rebuild = config.get("meta", {}).get("rebuild", {}) -%}
    {%- set read = [] -%}
    {%- for node in model.depends_on.nodes if node in graph.sources -%}
        {%- if graph.sources[node].config.meta.get("event_type") -%}
            {%- do read.append(graph.sources[node]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not rebuild.get("column") or not read or var("forget_expired_hours", false) -%}
        {{ return(none) }}
    {%- endif -%}
    {%- set built = adapter.get_relation(this.database, this.schema, this.identifier) -%}
    {%- if built is none or built.type != "table" -%} {{ return(none) }} {%- endif -%}
    {%- set ranges, kept = [], [] -%}
    {%- for first, last, is_kept, hours in run_query(
        runs_of_hours(built, rebuild.column, rebuild.get("kind", "timestamp"), read)
    ).rows -%}
        {%- if is_kept -%} {%- do kept.append(hours) -%}
        {%- else -%}
            {%- do ranges.append([(first ~ " 00:00:00")[:19], (last ~ " 00:00:00")[:19]]) -%}
        {%- endif -%}
    {%- endfor -%}
    {%- if not kept -%} {{ return(none) }} {%- endif -%}
    {{
        log(
            this
            ~ " keeps what was built from "
            ~ (kept | sum)
            ~ (" days" if rebuild.get("kind") == "date" else " hours")
            ~ " that are in no raw table any more; to forget them, give dbt --vars '{forget_expired_hours: true}'.",
            info=true,
        )
    }}
    {{ return(ranges) }}
{%- endmacro %}

{#- Hours (or days) that a model or its raw tables have, as runs in order: first, last, 1 if only the model has them, how many. -#}
{% macro runs_of_hours(built, column, kind, read) -%}
    {%- set event_types = read | map(attribute="config.meta.event_type") | list -%}
    {%- set registry = file_registry() -%}
    with
        found as (
            select {{ column }} as hour, 1 as is_kept
            from {{ built }}
            {%- for source in read %}
                union all
                select cast(_hour as {{ kind }}) as hour, 0 as is_kept
                from
                    {{
                        api.Relation.create(
                            database=source.database,
                            schema=source.schema,
                            identifier=source.identifier,
                        )
                    }}
            {%- endfor %}
            {%- if adapter.get_relation(
                registry.database, registry.schema, registry.identifier
            ) %}
                union all
                select cast(hour as {{ kind }}) as hour, 0 as is_kept
                from {{ registry }}
                where event_type in ('{{ event_types | join("', '") }}')
                group by cast(hour as {{ kind }})
                having
                    sum(row_count) = 0
                    and cast(hour as {{ kind }})
                    >= {{ kind }} '{{ raw_tables_begin() }}'
            {%- endif %}
        ),
        hours as (select hour, min(is_kept) as is_kept from found group by hour),
        runs as (
            select
                hour,
                is_kept,
                row_number() over (order by hour)
                - row_number() over (partition by is_kept order by hour) as run
            from hours
        )
    select
        cast(min(hour) as {{ column_type("string") }}) as first_hour,
        cast(max(hour) as {{ column_type("string") }}) as last_hour,
        is_kept,
        count(*) as hours
    from runs
    group by is_kept, run
    order by first_hour
{%- endmacro %}

{#- The first day that raw tables keep by BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS, as a text; long ago where they keep all. -#}
{% macro raw_tables_begin() -%}
    {%- set days = env_var("BRAZE_PLATFORM_RAW_PARTITION_EXPIRY_DAYS", "0") | int -%}
    {%- if not days -%} {{ return("1970-01-01") }} {%- endif -%}
    {{
        return(
            (
                modules.datetime.datetime.now(modules.pytz.utc)
                - modules.datetime.timedelta(days=days)
            ).strftime("%Y-%m-%d")
        )
    }}
{%- endmacro %}

{#- Kept rows stay in the table while its columns follow the model: in an incremental build, dbt asks this what to do when they
    differ. Of a new column the kept rows know nothing. -#}
{% macro incremental_validate_on_schema_change(on_schema_change, default="ignore") -%}
    {%- if is_built_beside_kept_hours() -%}
        {{
            return(
                "append_new_columns"
                if config.get("contract").enforced
                else "sync_all_columns"
            )
        }}
    {%- endif -%}
    {{
        return(
            dbt.incremental_validate_on_schema_change(on_schema_change, default)
        )
    }}
{%- endmacro %}
