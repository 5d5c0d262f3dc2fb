{#- Sends whose outcomes may be others now are computed again: those of the hours that changed, and those of the users
    concerned that an outcome can reach (see int_message_links). -#}
{%- set late = var("late_event_days") -%}
{%- set reach = var("link_window_days") + late -%}
{{
    config(
        materialized="incremental",
        unique_key="send_event_id",
        partition_by={"field": "delivered_hour", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["campaign_id", "braze_user_id"],
        meta={
            "rebuild": {
                "column": "delivered_hour",
                "reach_before_days": late + reach,
                "reach_after_days": 2 * late + reach,
            }
        },
    )
}}
-- depends_on: {{ ref('stg_currents__users_user_orphan') }}, {{ ref('int_user_identity') }}
with
    {% if is_incremental() %} concerned as ({{ touched_profiles() }}), {% endif %}
    sends as (
        select *
        from {{ ref("int_message_events") }}
        where
            is_send
            and {{ in_rebuild_window("delivered_hour", before_days=late + reach, after_days=2 * late + reach) }}
            {% if is_incremental() %}
                and braze_user_id in (select braze_user_id from concerned)
            {% endif %}
    ),
    outcomes as (
        select
            links.send_event_id,
            links.link_method,
            messages.action,
            messages.event_at,
            messages.is_human_response,
            messages.is_machine_open,
            messages.is_suspected_bot_click
        from {{ ref("int_message_links") }} as links
        inner join
            {{ ref("int_message_events") }} as messages
            on links.outcome_event_id = messages.event_id
            and links.delivered_hour = messages.delivered_hour
        where
            {{ in_rebuild_window("links.delivered_hour", before_days=2 * late + reach, after_days=2 * late + 2 * reach) }}
            and {{ in_rebuild_window("messages.delivered_hour", before_days=2 * late + reach, after_days=2 * late + 2 * reach) }}
            {# Who answers is the same user as who was sent to, whichever of their profiles it was. -#}
            {% if is_incremental() %}
                and messages.braze_user_id in (select braze_user_id from concerned)
            {% endif %}
    ),
    per_send as (
        select
            send_event_id,
            case
                when min(link_method) = max(link_method)
                then min(link_method)
                else 'mixed'
            end as link_method,
            min(case when action = 'delivery' then event_at end) as delivered_at,
            min(
                case
                    when action in ('open', 'read') and is_human_response then event_at
                end
            ) as first_human_open_at,
            min(case when is_machine_open then event_at end) as first_machine_open_at,
            min(
                case when action = 'click' and is_human_response then event_at end
            ) as first_human_click_at,
            min(
                case when is_suspected_bot_click then event_at end
            ) as first_bot_click_at,
            min(
                case when action in ('bounce', 'failure') then event_at end
            ) as failed_at,
            min(case when action = 'soft_bounce' then event_at end) as soft_bounced_at,
            min(case when action = 'deferral' then event_at end) as first_deferred_at,
            min(case when action = 'dismiss' then event_at end) as dismissed_at,
            min(case when action = 'inbound' then event_at end) as first_reply_at,
            min(case when action = 'unsubscribe' then event_at end) as unsubscribed_at,
            min(case when action = 'spam' then event_at end) as marked_as_spam_at,
            count(case when is_human_response then 1 end) as human_responses,
            count(
                case when action in ('open', 'read') and is_human_response then 1 end
            ) as human_opens,
            count(case when is_machine_open then 1 end) as machine_opens,
            count(
                case when action = 'click' and is_human_response then 1 end
            ) as human_clicks,
            count(case when is_suspected_bot_click then 1 end) as bot_clicks
        from outcomes
        group by send_event_id
    )
select
    sends.event_id as send_event_id,
    sends.channel,
    sends.event_at as sent_at,
    sends.day,
    sends.delivered_hour,
    sends.braze_user_id,
    sends.campaign_id,
    sends.canvas_id,
    sends.canvas_variation_id,
    sends.canvas_step_id,
    sends.message_variation_id,
    sends.dispatch_id,
    sends.send_id,
    sends.app_id,
    coalesce(per_send.link_method, 'no_outcome') as link_method,
    per_send.delivered_at,
    per_send.failed_at,
    per_send.soft_bounced_at,
    per_send.first_deferred_at,
    per_send.first_human_open_at,
    per_send.first_machine_open_at,
    per_send.first_human_click_at,
    per_send.first_bot_click_at,
    per_send.dismissed_at,
    per_send.first_reply_at,
    per_send.unsubscribed_at,
    per_send.marked_as_spam_at,
    {{ seconds_between("sends.event_at", "per_send.delivered_at") }}
    as seconds_to_delivery,
    {{ seconds_between("sends.event_at", "per_send.first_human_open_at") }}
    as seconds_to_human_open,
    {{ seconds_between("sends.event_at", "per_send.first_human_click_at") }}
    as seconds_to_human_click,
    coalesce(per_send.human_responses, 0) as human_responses,
    coalesce(per_send.human_opens, 0) as human_opens,
    coalesce(per_send.machine_opens, 0) as machine_opens,
    coalesce(per_send.human_clicks, 0) as human_clicks,
    coalesce(per_send.bot_clicks, 0) as bot_clicks
from sends
left join per_send on sends.event_id = per_send.send_event_id
