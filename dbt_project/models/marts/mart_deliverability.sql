{#- By the day of the send: what becomes of a message counts where the message does. It counts when it is delivered at most
    deliverability_window_days after the send, so that days compare, and so that few days change with an hour: those of sends
    to which an outcome in the changed hours, or one that another send takes away (see int_message_links), can belong. -#}
{%- set late = var("late_event_days") -%}
{%- set reach = var("link_window_days") + late -%}
{%- set window = var("deliverability_window_days") -%}
{%- set before = 2 * late + window -%}
{%- set after = 2 * late + reach + 2 -%}
{%- set outcome_types = {
    "delivery": "delivery",
    "open": "open",
    "click": "click",
    "bounce": "bounce",
    "soft_bounce": "soft_bounce",
    "deferral": "deferral",
    "spam": "mark_as_spam",
    "unsubscribe": "unsubscribe",
} -%}
{#- Where a message's IP and provider are told, the surest first; its domain and pool before all by the send. -#}
{%- set tellers = ["delivery", "bounce", "soft_bounce", "deferral"] -%}
{{
    config(
        materialized="incremental",
        unique_key="deliverability_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
        meta={
            "rebuild": {
                "column": "day",
                "kind": "date",
                "before_days": before,
                "after_days": after,
            }
        },
    )
}}
with
    sends as (
        select event_id, day, delivered_hour, from_domain, ip_pool
        from {{ ref("stg_currents__users_messages_email_send") }}
        where
            {{ in_rebuild_window("day", before_days=before, after_days=after, kind="date") }}
            and {{ in_rebuild_window("delivered_hour", before_days=before + 2, after_days=after + late + 1) }}
    ),
    outcomes as (
        {%- for action, table in outcome_types.items() %}
            select
                event_id,
                '{{ action }}' as action,
                day,
                delivered_hour,
                from_domain,
                ip_pool,
                sending_ip,
                esp,
                attempt_count,
                failure_code,
                is_machine_open,
                is_suspected_bot_click
            from {{ ref("stg_currents__users_messages_email_" ~ table) }}
            where
                {{ in_rebuild_window("delivered_hour", before_days=before + 2 + late, after_days=after + late + 1 + window) }}
            {% if not loop.last %}
                union all
            {% endif %}
        {%- endfor %}
    ),
    links as (
        select outcome_event_id, delivered_hour, send_event_id, send_delivered_hour
        from {{ ref("int_message_links") }}
        where
            {{ in_rebuild_window("delivered_hour", before_days=before + 2 + late, after_days=after + late + 1 + window) }}
    ),
    {# A send and all that became of it share a key, so that one grouping puts them together: joins of as many rows as there
       are events do not fit into a laptop's memory side by side. -#}
    parts as (
        select
            event_id as message_key,
            'send' as action,
            '0' as surest,
            day,
            from_domain,
            ip_pool,
            {%- for field in ["sending_ip", "esp"] %}
                cast(null as {{ column_type("string") }}) as {{ field }},
            {%- endfor %}
            cast(null as {{ column_type("integer") }}) as attempt_count,
            cast(null as {{ column_type("string") }}) as failure_code,
            false as is_machine_open,
            false as is_suspected_bot_click
        from sends
        union all
        select
            coalesce(links.send_event_id, outcomes.event_id) as message_key,
            case
                when links.send_event_id is null
                then 'without_send'
                else outcomes.action
            end as action,
            case
                outcomes.action
                {%- for action in tellers %}
                    when '{{ action }}' then '{{ loop.index }}'
                {%- endfor %}
                else '9'
            end as surest,
            outcomes.day,
            outcomes.from_domain,
            outcomes.ip_pool,
            outcomes.sending_ip,
            outcomes.esp,
            outcomes.attempt_count,
            outcomes.failure_code,
            outcomes.is_machine_open,
            outcomes.is_suspected_bot_click
        from outcomes
        left join
            links
            on outcomes.event_id = links.outcome_event_id
            and outcomes.delivered_hour = links.delivered_hour
        where
            outcomes.delivered_hour
            <= {{ days_after("links.send_delivered_hour", window) }}
            or (
                links.send_event_id is null
                and {{ in_rebuild_window("outcomes.day", before_days=before, after_days=after, kind="date") }}
            )
    ),
    fates as (
        select
            message_key,
            max(case when action = 'send' then 1 else 0 end) as sends,
            count(
                case when action = 'without_send' then 1 end
            ) as outcomes_without_send,
            max(case when action in ('send', 'without_send') then day end) as day,
            {%- for field in ["from_domain", "ip_pool", "sending_ip", "esp"] %}
                coalesce(
                    substr(min(surest || {{ field }}), 2), 'unknown'
                ) as {{ field }},
            {%- endfor %}
            max(case when action = 'delivery' then 1 else 0 end) as delivered,
            max(
                case
                    when
                        action = 'bounce'
                        and coalesce(failure_code, 'bounced') <> 'dropped'
                    then 1
                    else 0
                end
            ) as hard_bounced,
            max(
                case
                    when action = 'bounce' and failure_code = 'dropped' then 1 else 0
                end
            ) as dropped,
            max(case when action = 'soft_bounce' then 1 else 0 end) as soft_bounced,
            count(case when action = 'deferral' then 1 end) as deferrals,
            max(case when action = 'deferral' then attempt_count end) as attempts,
            max(case when action = 'spam' then 1 else 0 end) as marked_as_spam,
            max(case when action = 'unsubscribe' then 1 else 0 end) as unsubscribed,
            max(
                case when action = 'open' and not is_machine_open then 1 else 0 end
            ) as human_opened,
            max(
                case when action = 'open' and is_machine_open then 1 else 0 end
            ) as machine_opened,
            max(
                case
                    when action = 'click' and not is_suspected_bot_click then 1 else 0
                end
            ) as human_clicked
        from parts
        group by message_key
        -- Not the outcome of sends of other days, nor of messages that are no e-mails.
        having max(case when action in ('send', 'without_send') then 1 else 0 end) = 1
    ),
    messages as (
        select
            *,
            greatest(delivered, hard_bounced, dropped, soft_bounced) as settled,
            case when deferrals > 0 then 1 else 0 end as deferred
        from fates
    ),
    totals as (
        select
            day,
            from_domain,
            ip_pool,
            sending_ip,
            esp,
            {%- for measure in [
                "sends",
                "settled",
                "delivered",
                "hard_bounced",
                "soft_bounced",
                "dropped",
                "deferred",
                "deferrals",
                "marked_as_spam",
                "unsubscribed",
                "human_opened",
                "machine_opened",
                "human_clicked",
                "outcomes_without_send",
            ] %}
                {{ whole_sum(measure) }} as {{ measure }},
            {%- endfor %}
            max(attempts) as most_attempts,
            avg(attempts) as mean_attempts
        from messages
        group by day, from_domain, ip_pool, sending_ip, esp
    )
select
    concat(
        cast(day as {{ column_type("string") }}),
        '|',
        from_domain,
        '|',
        ip_pool,
        '|',
        sending_ip,
        '|',
        esp
    ) as deliverability_key,
    day,
    from_domain,
    ip_pool,
    sending_ip,
    esp,
    sends,
    settled as settled_sends,
    delivered,
    hard_bounced,
    soft_bounced,
    dropped,
    deferred,
    deferrals,
    most_attempts,
    mean_attempts,
    marked_as_spam,
    unsubscribed,
    human_opened,
    machine_opened,
    human_clicked,
    outcomes_without_send,
    delivered * 1.0 / nullif(settled, 0) as delivery_rate,
    hard_bounced * 1.0 / nullif(settled, 0) as hard_bounce_rate,
    marked_as_spam * 1.0 / nullif(delivered, 0) as spam_rate,
    human_opened * 1.0 / nullif(delivered, 0) as human_open_rate,
    machine_opened * 1.0 / nullif(delivered, 0) as machine_open_rate
from totals
