{#- What DuckDB and BigQuery write differently, and nothing else. Timestamps are UTC everywhere: TIMESTAMP without zone
    on DuckDB, TIMESTAMP on BigQuery. -#}
{#- Seconds since 1970 as a timestamp; null where they are not a time before the year 10000. Integers are compared before
    anything is converted: one event in microseconds would else stop the whole model. -#}
{% macro epoch_to_timestamp(seconds) -%}
    {{ return(adapter.dispatch("epoch_to_timestamp")("case when " ~ is_epoch_time(seconds) ~ " then " ~ seconds ~ " end")) }}
{%- endmacro %}
{% macro duckdb__epoch_to_timestamp(seconds) -%}
    make_timestamp(cast({{ seconds }} as bigint) * 1000000)
{%- endmacro %}
{% macro bigquery__epoch_to_timestamp(seconds) -%}
    timestamp_seconds({{ seconds }})
{%- endmacro %}

{#- Whether whole seconds since 1970 are a time from 1970 to the end of the year 9999: milliseconds and microseconds of our
    days are not. False for null. -#}
{% macro is_epoch_time(seconds) -%}
    coalesce({{ seconds }} between 0 and 253402300799, false)
{%- endmacro %}

{#- Whole seconds since 1970 of a timestamp of whole seconds. -#}
{% macro epoch_seconds(moment) -%}
    {{ return(adapter.dispatch("epoch_seconds")(moment)) }}
{%- endmacro %}
{% macro duckdb__epoch_seconds(moment) -%}
    cast(epoch({{ moment }}) as bigint)
{%- endmacro %}
{% macro bigquery__epoch_seconds(moment) -%} unix_seconds({{ moment }}) {%- endmacro %}

{#- A text, or null where it is empty or blank: an empty identifier names nobody. -#}
{% macro blank_to_null(text) -%}
    case
        when trim({{ text }}, ' ' || chr(9) || chr(10) || chr(13)) <> '' then {{ text }}
    end
{%- endmacro %}

{#- Whole seconds from one timestamp to a later one. -#}
{% macro seconds_between(earlier, later) -%}
    {{ return(adapter.dispatch("seconds_between")(earlier, later)) }}
{%- endmacro %}
{% macro duckdb__seconds_between(earlier, later) -%}
    date_diff('second', {{ earlier }}, {{ later }})
{%- endmacro %}
{% macro bigquery__seconds_between(earlier, later) -%}
    timestamp_diff({{ later }}, {{ earlier }}, second)
{%- endmacro %}

{#- Microseconds since 1970 of a timestamp: what a key is made of, for timestamps as text differ. -#}
{% macro epoch_microseconds(moment) -%}
    {{ return(adapter.dispatch("epoch_microseconds")(moment)) }}
{%- endmacro %}
{% macro duckdb__epoch_microseconds(moment) -%} epoch_us({{ moment }}) {%- endmacro %}
{% macro bigquery__epoch_microseconds(moment) -%}
    unix_micros({{ moment }})
{%- endmacro %}

{#- A timestamp moved by whole days; a negative number moves it back. -#}
{% macro days_after(moment, days) -%}
    {{ return(adapter.dispatch("days_after")(moment, days)) }}
{%- endmacro %}
{% macro duckdb__days_after(moment, days) -%}
    {{ moment }} + to_days({{ days }})
{%- endmacro %}
{% macro bigquery__days_after(moment, days) -%}
    timestamp_add({{ moment }}, interval {{ days }} day)
{%- endmacro %}

{#- One field of a JSON string as text; null when it is absent, an object or a list, or when the string is no JSON. -#}
{% macro json_text(json, field) -%}
    {{ return(adapter.dispatch("json_text")(json, field)) }}
{%- endmacro %}
{% macro duckdb__json_text(json, field) -%}
    case
        when
            json_valid({{ json }})
            and json_type({{ json }}, '$.{{ field }}') not in ('OBJECT', 'ARRAY')
        then json_extract_string({{ json }}, '$.{{ field }}')
    end
{%- endmacro %}
{% macro bigquery__json_text(json, field) -%}
    json_value(
        safe.parse_json({{ json }}, wide_number_mode => 'round'), '$.{{ field }}'
    )
{%- endmacro %}

{#- One field of a JSON string as JSON text, whatever its type: a text in quotes, an object in braces. Null when it is null
    or absent. -#}
{% macro json_part(json, field) -%}
    {{ return(adapter.dispatch("json_part")(json, field)) }}
{%- endmacro %}
{% macro duckdb__json_part(json, field) -%}
    nullif(cast(json_extract({{ json }}, '$.{{ field }}') as varchar), 'null')
{%- endmacro %}
{% macro bigquery__json_part(json, field) -%}
    nullif(cast(json_query({{ json }}, '$.{{ field }}') as string), 'null')
{%- endmacro %}

{#- The items of a JSON array, to be cross joined: a row per item, in a column `item` that holds its JSON text. -#}
{% macro json_items(json) -%}
    {{ return(adapter.dispatch("json_items")(json)) }}
{%- endmacro %}
{% macro duckdb__json_items(json) -%}
    unnest(cast(json_extract({{ json }}, '$[*]') as varchar[])) as items(item)
{%- endmacro %}
{% macro bigquery__json_items(json) -%}
    unnest(json_query_array({{ json }})) as item
{%- endmacro %}

{#- Whether a text contains a match of a regular expression (RE2 in both). -#}
{% macro matches(text, pattern) -%}
    {{ return(adapter.dispatch("matches")(text, pattern)) }}
{%- endmacro %}
{% macro duckdb__matches(text, pattern) -%}
    regexp_matches({{ text }}, '{{ pattern }}')
{%- endmacro %}
{% macro bigquery__matches(text, pattern) -%}
    regexp_contains({{ text }}, r'{{ pattern }}')
{%- endmacro %}

{#- SHA-256 of a text, in hexadecimal. -#}
{% macro text_hash(text) -%}
    {{ return(adapter.dispatch("text_hash")(text)) }}
{%- endmacro %}
{% macro duckdb__text_hash(text) -%} sha256({{ text }}) {%- endmacro %}
{% macro bigquery__text_hash(text) -%} to_hex(sha256({{ text }})) {%- endmacro %}

{#- The warehouse's name of a neutral column type, as sources declare them. -#}
{% macro column_type(name) -%}
    {{ return(adapter.dispatch("column_type")(name)) }}
{%- endmacro %}
{% macro duckdb__column_type(name) -%}
    {{ return({"string": "varchar", "integer": "bigint", "number": "double", "array<string>": "varchar[]"}.get(name, name)) }}
{%- endmacro %}
{% macro bigquery__column_type(name) -%}
    {{ return({"integer": "int64", "number": "float64", "boolean": "bool"}.get(name, name)) }}
{%- endmacro %}

{#- The Monday of a day's week. -#}
{% macro week_of(day) -%} {{ return(adapter.dispatch("week_of")(day)) }} {%- endmacro %}
{% macro duckdb__week_of(day) -%}
    cast(date_trunc('week', {{ day }}) as date)
{%- endmacro %}
{#- By counting from a Monday: the emulator of BigQuery cannot say on which day a week begins. -#}
{% macro bigquery__week_of(day) -%}
    cast(
        date_sub(
            {{ day }}, interval mod(date_diff({{ day }}, date '1900-01-01', day), 7) day
        ) as date
    )
{%- endmacro %}

{#- A day moved by whole days; a negative number moves it back. -#}
{% macro date_after(day, days) -%}
    {{ return(adapter.dispatch("date_after")(day, days)) }}
{%- endmacro %}
{% macro duckdb__date_after(day, days) -%}
    cast({{ day }} + to_days(cast({{ days }} as integer)) as date)
{%- endmacro %}
{% macro bigquery__date_after(day, days) -%}
    date_add({{ day }}, interval {{ days }} day)
{%- endmacro %}

{#- Whole days from one day to a later one. -#}
{% macro days_between(earlier, later) -%}
    {{ return(adapter.dispatch("days_between")(earlier, later)) }}
{%- endmacro %}
{% macro duckdb__days_between(earlier, later) -%}
    date_diff('day', {{ earlier }}, {{ later }})
{%- endmacro %}
{% macro bigquery__days_between(earlier, later) -%}
    date_diff({{ later }}, {{ earlier }}, day)
{%- endmacro %}

{#- Between a common table expression's name and its parenthesis: it is computed where it is used, as BigQuery does anyway.
    DuckDB writes down what is used twice, which for all events of years takes much disk and time. -#}
{% macro inlined() -%} {{ return(adapter.dispatch("inlined")()) }} {%- endmacro %}
{% macro duckdb__inlined() -%} not materialized {%- endmacro %}
{% macro bigquery__inlined() -%} {%- endmacro %}
