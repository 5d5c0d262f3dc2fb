{#- The end of a model that says of profiles what was ever so: one row a set of `keys`, a flag once set stays set. New hours
    are therefore enough to keep it. The model has a query `events` with the keys and, for each flag, 1 or 0.

    key_name:  the column that joins the keys with |; the model's unique_key
    keys:      columns, none of them null, of which one is braze_user_id
    flags:     columns of `events` that become booleans
    earliest:  columns of `events` of which the earliest is kept -#}
{% macro ever_set(key_name, keys, flags, earliest=[]) -%}
    ,
    gathered as (
        select
            {{ keys | join(", ") }}
            {%- for flag in flags %}, max({{ flag }}) as {{ flag }}{% endfor %}
            {%- for moment in earliest %}, min({{ moment }}) as {{ moment }}{% endfor %}
        from events
        group by {{ keys | join(", ") }}
        {% if is_incremental() %}
            union all
            select
                known.{{ keys | join(", known.") }}
                {%- for flag in flags %}
                    , case when known.{{ flag }} then 1 else 0 end as {{ flag }}
                {%- endfor %}
                {%- for moment in earliest %}, known.{{ moment }}{% endfor %}
            from {{ this }} as known
            where known.braze_user_id in (select braze_user_id from events)
        {% endif %}
    )
    select
        concat({{ keys | join(", '|', ") }}) as {{ key_name }},
        {{ keys | join(", ") }}
        {%- for flag in flags %}, max({{ flag }}) = 1 as {{ flag }}{% endfor %}
        {%- for moment in earliest %}, min({{ moment }}) as {{ moment }}{% endfor %}
    from gathered
    group by {{ keys | join(", ") }}
{%- endmacro %}
