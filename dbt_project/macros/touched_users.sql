{#- The users (user_key) whose messages a build has to look at again: those with a message event in the hours that are done
    again, and those that were merged in them. The model that calls this declares both models it reads, since dbt cannot
    see them in a branch that only incremental builds take. -#}
{% macro touched_users() -%}
    select identity.user_key
    from {{ ref("int_message_events") }} as messages
    inner join
        {{ ref("int_user_identity") }} as identity
        on messages.braze_user_id = identity.braze_user_id
    where {{ in_rebuild_window("messages.delivered_hour") }}
    union distinct
    select identity.user_key
    from {{ ref("stg_currents__users_user_orphan") }} as merges
    inner join
        {{ ref("int_user_identity") }} as identity
        on merges.braze_user_id = identity.braze_user_id
    where {{ in_rebuild_window("merges.delivered_hour") }}
{%- endmacro %}

{#- All profiles of these users, merged ones too. -#}
{% macro touched_profiles() -%}
    select everyone.braze_user_id
    from {{ ref("int_user_identity") }} as everyone
    where everyone.user_key in ({{ touched_users() }})
{%- endmacro %}
