{#- By profile, not by user: so a merge changes nothing here, and mart_message_pressure follows it at once.

    A week's row changes with the sends of its days and with what becomes of them, which may come much later (see
    int_message_sends). The weeks of the changed hours are reprocessed whole, earlier and later ones for the users concerned. -#}
{%- set late = var("late_event_days") -%}
{%- set reach = var("link_window_days") + late -%}
{%- set before = 2 * late + reach + 6 -%}
{%- set after = 2 * late + reach + 2 -%}
{{
    config(
        materialized="incremental",
        unique_key="message_week_key",
        partition_by={"field": "week", "data_type": "date", "granularity": "month"},
        cluster_by=["braze_user_id"],
        meta={
            "rebuild": {
                "column": "week",
                "kind": "date",
                "before_days": late + 6,
                "after_days": 2,
                "reach_before_days": before,
                "reach_after_days": after,
            }
        },
    )
}}
-- depends_on: {{ ref('stg_currents__users_user_orphan') }}, {{ ref('int_user_identity') }}, {{ ref('int_message_events') }}
with
    sends as (
        select {{ week_of("day") }} as week, *
        from {{ ref("int_message_sends") }}
        where
            braze_user_id is not null
            and {{ in_rebuild_window("delivered_hour", before_days=before + 2, after_days=after + 6 + late + 1) }}
    ),
    concerned as (
        select *
        from sends
        where
            {{ in_rebuild_window("week", before_days=before, after_days=after, kind="date") }}
            {% if is_incremental() %}
                and (
                    {{ in_rebuild_window("week", before_days=late + 6, after_days=2, kind="date") }}
                    or braze_user_id in ({{ touched_profiles() }})
                )
            {% endif %}
    )
select
    concat(
        braze_user_id, '|', channel, '|', cast(week as {{ column_type("string") }})
    ) as message_week_key,
    week,
    braze_user_id,
    channel,
    count(*) as messages,
    count(case when human_responses > 0 then 1 end) as answered_messages,
    count(case when human_opens > 0 then 1 end) as opened_messages,
    count(case when human_clicks > 0 then 1 end) as clicked_messages,
    count(
        case
            when unsubscribed_at is not null or marked_as_spam_at is not null then 1
        end
    ) as refused_messages,
    min(sent_at) as first_sent_at,
    max(sent_at) as last_sent_at
from concerned
group by week, braze_user_id, channel
