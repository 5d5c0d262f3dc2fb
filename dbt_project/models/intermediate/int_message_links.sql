{#- A send and its outcome lie at most link_window_days apart as they happened; as they were delivered, late_event_days more,
    and a send may even be delivered so many days after its outcome. When hours change, all outcomes of the users concerned
    that may find another send are linked again.

    A profile answers what was sent to it, and what was sent, before they were merged into it, to others. What happened to
    two profiles before they became one stays apart: so a merge moves the links of the weeks around it and no others. -#}
{%- set late = var("late_event_days") -%}
{%- set reach = var("link_window_days") + late -%}
{%- set answered_after_merge = (
    "(sends.merged_hour is null or outcomes.delivered_hour >= "
    ~ days_after("sends.merged_hour", -late)
    ~ ")"
) -%}
{{
    config(
        materialized="incremental",
        unique_key="outcome_event_id",
        partition_by={"field": "delivered_hour", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["send_event_id"],
        meta={
            "rebuild": {
                "column": "delivered_hour",
                "reach_before_days": late,
                "reach_after_days": late + reach,
            }
        },
    )
}}
-- depends_on: {{ ref('stg_currents__users_user_orphan') }}
with
    {% if is_incremental() %} touched_users as ({{ touched_users() }}), {% endif %}
    events as {{ inlined() }} (
        select
            messages.event_id,
            messages.channel,
            messages.event_at,
            messages.delivered_hour,
            messages.dispatch_id,
            messages.is_send,
            messages.braze_user_id,
            coalesce(messages.canvas_step_id, messages.campaign_id) as content_id,
            coalesce(messages.message_variation_id, '') as variation
        from {{ ref("int_message_events") }} as messages
        inner join
            {{ ref("int_user_identity") }} as identity
            on messages.braze_user_id = identity.braze_user_id
        where
            {{ in_rebuild_window("messages.delivered_hour", before_days=late + reach, after_days=2 * late + reach) }}
            {% if is_incremental() %}
                and identity.user_key in (select user_key from touched_users)
            {% endif %}
    ),
    sends as {{ inlined() }} (
        select
            *,
            braze_user_id as answering_braze_user_id,
            cast(null as timestamp) as merged_hour
        from events
        where is_send
        union all
        select
            events.*,
            merges.surviving_braze_user_id as answering_braze_user_id,
            merges.last_merged_hour as merged_hour
        from events
        inner join
            {{ ref("int_user_merges") }} as merges
            on events.braze_user_id = merges.braze_user_id
        where
            events.is_send
            and events.delivered_hour
            <= {{ days_after("merges.first_merged_hour", late) }}
    ),
    outcomes as {{ inlined() }} (
        select *
        from events
        where
            not is_send
            and {{ in_rebuild_window("delivered_hour", before_days=late, after_days=late + reach) }}
    ),
    candidates as (
        select
            outcomes.event_id as outcome_event_id,
            sends.event_id as send_event_id,
            sends.event_at as sent_at,
            sends.delivered_hour as send_delivered_hour,
            'dispatch_id' as link_method,
            {# One dispatch can hold several sends to a user, e.g. a push to each device: the nearest one before counts, one
               that is logged after its outcome only when there is no other. -#}
            case when sends.event_at <= outcomes.event_at then 0 else 1 end as is_after,
            abs(
                {{ seconds_between("sends.event_at", "outcomes.event_at") }}
            ) as seconds_apart
        from outcomes
        inner join
            sends
            on outcomes.braze_user_id = sends.answering_braze_user_id
            and outcomes.channel = sends.channel
            and outcomes.dispatch_id = sends.dispatch_id
        where
            outcomes.delivered_hour
            between {{ days_after("sends.delivered_hour", -late) }}
            and {{ days_after("sends.delivered_hour", reach) }}
            and {{ answered_after_merge }}
        union all
        select
            outcomes.event_id as outcome_event_id,
            sends.event_id as send_event_id,
            sends.event_at as sent_at,
            sends.delivered_hour as send_delivered_hour,
            'nearest_send' as link_method,
            0 as is_after,
            {{ seconds_between("sends.event_at", "outcomes.event_at") }}
            as seconds_apart
        from outcomes
        inner join
            sends
            on outcomes.braze_user_id = sends.answering_braze_user_id
            and outcomes.channel = sends.channel
            and outcomes.content_id = sends.content_id
            and outcomes.variation = sends.variation
        where
            (outcomes.dispatch_id is null or sends.dispatch_id is null)
            and sends.event_at <= outcomes.event_at
            and {{ days_after("sends.event_at", var("link_window_days")) }}
            >= outcomes.event_at
            and outcomes.delivered_hour
            between {{ days_after("sends.delivered_hour", -late) }}
            and {{ days_after("sends.delivered_hour", reach) }}
            and {{ answered_after_merge }}
    ),
    best_candidates as (
        select
            outcome_event_id,
            send_event_id,
            sent_at,
            send_delivered_hour,
            link_method,
            seconds_apart
        from candidates
        where true
        qualify
            row_number() over (
                partition by outcome_event_id
                order by link_method, is_after, seconds_apart, send_event_id
            )
            = 1
    )
select
    outcomes.event_id as outcome_event_id,
    outcomes.delivered_hour,
    best_candidates.send_event_id,
    best_candidates.sent_at,
    best_candidates.send_delivered_hour,
    coalesce(best_candidates.link_method, 'no_send') as link_method,
    best_candidates.seconds_apart
from outcomes
left join best_candidates on outcomes.event_id = best_candidates.outcome_event_id
