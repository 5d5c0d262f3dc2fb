{#- A day stays open for late_event_days: an event that comes later counts on the earliest open day (see staged_event). -#}
{%- set late = var("late_event_days") -%}
{{
    config(
        materialized="incremental",
        unique_key="mailbox_provider_day_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
        meta={
            "rebuild": {
                "column": "day",
                "kind": "date",
                "before_days": late,
                "after_days": 2,
            }
        },
    )
}}
with
    events as (
        {%- for action in ["open", "click"] %}
            select
                '{{ action }}' as action,
                day,
                braze_user_id,
                coalesce(mailbox_provider, 'unknown') as mailbox_provider,
                coalesce(from_domain, 'unknown') as from_domain,
                is_machine_open,
                is_suspected_bot_click
            from {{ ref("stg_currents__users_messages_email_" ~ action) }}
            where
                {{ in_rebuild_window("day", before_days=late, after_days=2, kind="date") }}
                and {{ in_rebuild_window("delivered_hour", before_days=late + 2, after_days=late + 3) }}
            {% if not loop.last %}
                union all
            {% endif %}
        {%- endfor %}
    )
select
    concat(
        cast(day as {{ column_type("string") }}),
        '|',
        mailbox_provider,
        '|',
        from_domain
    ) as mailbox_provider_day_key,
    day,
    mailbox_provider,
    from_domain,
    count(case when action = 'open' and not is_machine_open then 1 end) as human_opens,
    count(
        distinct case
            when action = 'open' and not is_machine_open then braze_user_id
        end
    ) as unique_human_opens,
    count(case when is_machine_open then 1 end) as machine_opens,
    count(
        case when action = 'click' and not is_suspected_bot_click then 1 end
    ) as human_clicks,
    count(case when is_suspected_bot_click then 1 end) as suspected_bot_clicks,
    count(case when is_machine_open then 1 end)
    * 1.0
    / nullif(count(case when action = 'open' then 1 end), 0) as machine_open_share
from events
group by day, mailbox_provider, from_domain
