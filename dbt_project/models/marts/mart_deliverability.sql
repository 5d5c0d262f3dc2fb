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
{#- Where a message's IP and provider are told, the surest first. -#}
{%- set tellers = ["delivery", "bounce", "soft_bounce", "deferral"] -%}
{{
    config(
        materialized="incremental",
        unique_key="deliverability_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
        meta={
            "redo": {
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
            {{ redone("day", before_days=before, after_days=after, kind="date") }}
            and {{ redone("delivered_hour", before_days=before + 2, after_days=after + late + 1) }}
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
                {{ redone("delivered_hour", before_days=before + 2 + late, after_days=after + late + 1 + window) }}
            {% if not loop.last %}
                union all
            {% endif %}
        {%- endfor %}
    ),
    links as (
        select outcome_event_id, delivered_hour, send_event_id
        from {{ ref("int_message_links") }}
        where
            {{ redone("delivered_hour", before_days=before + 2 + late, after_days=after + late + 1 + window) }}
    ),
    linked as (
        select outcomes.*, links.send_event_id
        from outcomes
        left join
            links
            on outcomes.event_id = links.outcome_event_id
            and outcomes.delivered_hour = links.delivered_hour
    ),
    fates as (
        select
            linked.send_event_id,
            min(linked.from_domain) as from_domain,
            min(linked.ip_pool) as ip_pool,
            {%- for field in ["sending_ip", "esp"] %}
                coalesce(
                    {%- for action in tellers %}
                        min(
                            case
                                when linked.action = '{{ action }}'
                                then linked.{{ field }}
                            end
                        ),
                    {%- endfor %}
                    min(linked.{{ field }})
                ) as {{ field }},
            {%- endfor %}
            max(case when linked.action = 'delivery' then 1 else 0 end) as delivered,
            max(
                case
                    when
                        linked.action = 'bounce'
                        and coalesce(linked.failure_code, 'bounced') <> 'dropped'
                    then 1
                    else 0
                end
            ) as hard_bounced,
            max(
                case
                    when linked.action = 'bounce' and linked.failure_code = 'dropped'
                    then 1
                    else 0
                end
            ) as dropped,
            max(
                case when linked.action = 'soft_bounce' then 1 else 0 end
            ) as soft_bounced,
            count(case when linked.action = 'deferral' then 1 end) as deferrals,
            max(
                case when linked.action = 'deferral' then linked.attempt_count end
            ) as attempts,
            max(case when linked.action = 'spam' then 1 else 0 end) as marked_as_spam,
            max(
                case when linked.action = 'unsubscribe' then 1 else 0 end
            ) as unsubscribed,
            max(
                case
                    when linked.action = 'open' and not linked.is_machine_open
                    then 1
                    else 0
                end
            ) as human_opened,
            max(case when linked.is_machine_open then 1 else 0 end) as machine_opened,
            max(
                case
                    when linked.action = 'click' and not linked.is_suspected_bot_click
                    then 1
                    else 0
                end
            ) as human_clicked
        from linked
        inner join sends on linked.send_event_id = sends.event_id
        where linked.delivered_hour <= {{ days_after("sends.delivered_hour", window) }}
        group by linked.send_event_id
    ),
    messages as (
        select
            sends.day,
            coalesce(sends.from_domain, fates.from_domain, 'unknown') as from_domain,
            coalesce(sends.ip_pool, fates.ip_pool, 'unknown') as ip_pool,
            coalesce(fates.sending_ip, 'unknown') as sending_ip,
            coalesce(fates.esp, 'unknown') as esp,
            1 as sends,
            0 as outcomes_without_send,
            fates.delivered,
            fates.hard_bounced,
            fates.dropped,
            fates.soft_bounced,
            greatest(
                coalesce(fates.delivered, 0),
                coalesce(fates.hard_bounced, 0),
                coalesce(fates.dropped, 0),
                coalesce(fates.soft_bounced, 0)
            ) as settled,
            fates.deferrals,
            case when fates.deferrals > 0 then 1 else 0 end as deferred,
            fates.attempts,
            fates.marked_as_spam,
            fates.unsubscribed,
            fates.human_opened,
            fates.machine_opened,
            fates.human_clicked
        from sends
        left join fates on sends.event_id = fates.send_event_id
        union all
        select
            day,
            coalesce(from_domain, 'unknown') as from_domain,
            coalesce(ip_pool, 'unknown') as ip_pool,
            coalesce(sending_ip, 'unknown') as sending_ip,
            coalesce(esp, 'unknown') as esp,
            0 as sends,
            1 as outcomes_without_send,
            0 as delivered,
            0 as hard_bounced,
            0 as dropped,
            0 as soft_bounced,
            0 as settled,
            0 as deferrals,
            0 as deferred,
            cast(null as {{ column_type("integer") }}) as attempts,
            0 as marked_as_spam,
            0 as unsubscribed,
            0 as human_opened,
            0 as machine_opened,
            0 as human_clicked
        from linked
        where
            send_event_id is null
            and {{ redone("day", before_days=before, after_days=after, kind="date") }}
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
                {{ whole_sum("coalesce(" ~ measure ~ ", 0)") }} as {{ measure }},
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
