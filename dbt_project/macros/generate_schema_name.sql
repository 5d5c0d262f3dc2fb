{#- A folder's schema is used as it is (staging, intermediate, marts, attributes), behind an optional prefix, so that
    several installations can share one BigQuery project. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ env_var("BRAZE_PLATFORM_SCHEMA_PREFIX", "") }}{{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
