{#- Schemas (staging, intermediate, marts, attributes) are logical names. What they are called in the warehouse is rendered by
    the platform, once, and passed (environment variable BRAZE_PLATFORM_DATASETS): nothing here puts a prefix before a
    name. The schema of the profile is rendered already. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {%- if custom_schema_name -%} {{ dataset_name(custom_schema_name | trim) }}
    {%- else -%} {{ target.schema | trim }}
    {%- endif -%}
{%- endmacro %}

{#- The data set of a logical name. On DuckDB names stand as they are, with or without the platform. -#}
{% macro dataset_name(logical) -%}
    {%- set names = fromjson(env_var("BRAZE_PLATFORM_DATASETS", "{}")) -%}
    {%- if logical not in names and target.type != "duckdb" -%}
        {{
            exceptions.raise_compiler_error(
                "The schema '"
                ~ logical
                ~ "' is not among the data sets of this installation. Name it by +schema in dbt_project.yml, and not in a model's own config, so that the platform renders its name."
            )
        }}
    {%- endif -%}
    {{ return(names.get(logical, logical)) }}
{%- endmacro %}
