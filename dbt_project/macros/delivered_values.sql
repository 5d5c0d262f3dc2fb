{#- The entries of braze_sync.deliveries.attribute_values, a JSON array: what to write after `from deliveries,`. -#}
{% macro delivery_entries(column) -%}
    {{ return(adapter.dispatch("delivery_entries")(column)) }}
{%- endmacro %}
{% macro duckdb__delivery_entries(column) -%}
    unnest(
        from_json(
            {{ column }}, '[{"attribute":"VARCHAR","hash":"VARCHAR","value":"JSON"}]'
        )
    ) as entries(entry)
{%- endmacro %}
{% macro bigquery__delivery_entries(column) -%}
    unnest(json_extract_array({{ column }})) as entry
{%- endmacro %}

{#- A text of an entry: attribute or hash. -#}
{% macro delivery_entry(field) -%}
    {{ return(adapter.dispatch("delivery_entry")(field)) }}
{%- endmacro %}
{% macro duckdb__delivery_entry(field) -%} entry.{{ field }} {%- endmacro %}
{% macro bigquery__delivery_entry(field) -%}
    json_value(entry, '$.{{ field }}')
{%- endmacro %}

{#- The value of an entry as JSON text; null where only hashes are kept. -#}
{% macro delivery_entry_json() -%}
    {{ return(adapter.dispatch("delivery_entry_json")()) }}
{%- endmacro %}
{% macro duckdb__delivery_entry_json() -%} cast(entry.value as varchar) {%- endmacro %}
{% macro bigquery__delivery_entry_json() -%}
    json_query(entry, '$.value')
{%- endmacro %}
