{#- A conversion looks back to touches of the last days; as both were delivered, they lie at most late_event_days more apart,
    and a touch may be delivered so many days after its conversion. A touch by a response counts for the send that it is
    linked to, and that link may move with any send or outcome in reach (see int_message_links). When hours change, all
    conversions of the users concerned that any of this can reach are looked at again.

    What happened to two profiles of a person counts together if they were merged before the conversion or at most
    link_window_days after it: who buys before logging in is known soon or never. A merge that comes later moves nothing,
    so that what a build has to reprocess stays within bounds. -#}
{%- set late = var("late_event_days") -%}
{%- set look_back = longest_look_back_days() -%}
{%- set merged_within = var("link_window_days") -%}
{%- set before = [2 * late, merged_within] | max -%}
{%- set after = var("link_window_days") + 3 * late + look_back -%}
{{
    config(
        materialized="incremental",
        unique_key="conversion_event_id",
        partition_by={"field": "delivered_hour", "data_type": "timestamp", "granularity": "day"},
        cluster_by=["kind", "attributed_campaign_id"],
        meta={
            "rebuild": {
                "column": "delivered_hour",
                "reach_before_days": before,
                "reach_after_days": after,
            }
        },
    )
}}
-- depends_on: {{ ref('stg_currents__users_user_orphan') }}
{%- set text = column_type("string") -%}
{%- set kinds = [
    ("campaign_conversion", "stg_currents__users_campaigns_conversion"),
    ("canvas_conversion", "stg_currents__users_canvas_conversion"),
    ("purchase", "stg_currents__users_behaviors_purchase"),
] %}
with
    {% if is_incremental() %} touched_users as ({{ touched_users() }}), {% endif %}
    conversions as (
        {%- for kind, model in kinds %}
            select
                events.event_id,
                '{{ kind }}' as kind,
                events.event_at,
                events.day,
                events.delivered_hour,
                events.braze_user_id,
                identity.user_key,
                {{ "events.campaign_id" if kind == "campaign_conversion" else "cast(null as " ~ text ~ ")" }}
                as campaign_id,
                {{ "events.canvas_id" if kind == "canvas_conversion" else "cast(null as " ~ text ~ ")" }}
                as canvas_id,
                {{ "cast(null as " ~ column_type("integer") ~ ")" if kind == "purchase" else "events.conversion_behavior_index" }}
                as conversion_index,
                {{ "events.currency" if kind == "purchase" else "cast(null as " ~ text ~ ")" }}
                as currency,
                {{ "events.price" if kind == "purchase" else "cast(null as " ~ column_type("number") ~ ")" }}
                as revenue
            from {{ ref(model) }} as events
            left join
                {{ ref("int_user_identity") }} as identity
                on events.braze_user_id = identity.braze_user_id
            where
                {{ in_rebuild_window("events.delivered_hour", before_days=before, after_days=after) }}
                {% if is_incremental() %}
                    and (
                        {{ in_rebuild_window("events.delivered_hour") }}
                        or identity.user_key in (select user_key from touched_users)
                    )
                {% endif %}
            {%- if not loop.last %}
                union all
            {%- endif %}
        {%- endfor %}
    ),
    messages as (
        select
            events.event_id,
            events.channel,
            events.action,
            events.is_send,
            events.event_at,
            events.delivered_hour,
            events.campaign_id,
            events.canvas_id,
            events.canvas_step_id,
            events.message_variation_id,
            events.braze_user_id,
            identity.user_key
        from {{ ref("int_message_events") }} as events
        inner join
            {{ ref("int_user_identity") }} as identity
            on events.braze_user_id = identity.braze_user_id
        where
            (
                events.is_send
                or (
                    events.is_human_response
                    and events.action in ('click', 'open', 'read')
                )
            )
            and {{ in_rebuild_window("events.delivered_hour", before_days=before + look_back + late, after_days=after + late) }}
            {% if is_incremental() %}
                and identity.user_key in (select user_key from conversions)
            {% endif %}
    ),
    links as (
        select outcome_event_id, delivered_hour, send_event_id, sent_at
        from {{ ref("int_message_links") }}
        where
            send_event_id is not null
            and {{ in_rebuild_window("delivered_hour", before_days=before + look_back + late, after_days=after + late) }}
    ),
    touches as (
        select
            messages.*,
            'send' as method,
            3 as method_rank,
            messages.event_id as send_event_id,
            messages.event_at as sent_at
        from messages
        where messages.is_send
        union all
        select
            messages.*,
            case when messages.action = 'click' then 'click' else 'open' end as method,
            case when messages.action = 'click' then 1 else 2 end as method_rank,
            links.send_event_id,
            links.sent_at
        from messages
        inner join
            links
            on messages.event_id = links.outcome_event_id
            and messages.delivered_hour = links.delivered_hour
        where not messages.is_send
    ),
    {# Every profile leads to itself and to all that it was merged into. -#}
    profiles as (
        select
            braze_user_id,
            braze_user_id as leads_to,
            cast(null as timestamp) as merged_hour
        from {{ ref("int_user_identity") }}
        union all
        select
            braze_user_id,
            surviving_braze_user_id as leads_to,
            last_merged_hour as merged_hour
        from {{ ref("int_user_merges") }}
    ),
    best_touches as (
        select
            conversions.event_id as conversion_event_id,
            touches.method,
            touches.event_at as touched_at,
            touches.send_event_id,
            touches.sent_at,
            touches.channel,
            touches.campaign_id,
            touches.canvas_id,
            touches.canvas_step_id,
            touches.message_variation_id
        from conversions
        inner join
            profiles as converting
            on conversions.braze_user_id = converting.braze_user_id
        inner join profiles as touched on converting.leads_to = touched.leads_to
        {# The key says nothing new, as profiles of one person have one; it keeps the warehouse from comparing all people's
           conversions and touches by their times first. -#}
        inner join
            touches
            on touched.braze_user_id = touches.braze_user_id
            and conversions.user_key = touches.user_key
        where
            {# Braze says of which campaign or canvas a conversion is; a purchase may be of any. -#}
            (
                conversions.kind = 'purchase'
                or conversions.campaign_id = touches.campaign_id
                or conversions.canvas_id = touches.canvas_id
            )
            and coalesce(
                converting.merged_hour
                <= {{ days_after("conversions.delivered_hour", merged_within) }},
                true
            )
            and coalesce(
                touched.merged_hour
                <= {{ days_after("conversions.delivered_hour", merged_within) }},
                true
            )
            and touches.sent_at <= conversions.event_at
            and touches.event_at <= conversions.event_at
            and {{ seconds_between("touches.event_at", "conversions.event_at") }}
            < {{ look_back_seconds("touches.channel") }}
            and touches.delivered_hour
            between {{ days_after("conversions.delivered_hour", -(look_back + late)) }}
            and {{ days_after("conversions.delivered_hour", late) }}
        qualify
            row_number() over (
                partition by conversions.event_id
                order by
                    touches.method_rank,
                    touches.event_at desc,
                    touches.sent_at desc,
                    touches.send_event_id,
                    touches.event_id
            )
            = 1
    )
select
    conversions.event_id as conversion_event_id,
    conversions.kind,
    conversions.event_at as converted_at,
    conversions.day,
    conversions.delivered_hour,
    conversions.braze_user_id,
    conversions.campaign_id,
    conversions.canvas_id,
    conversions.conversion_index,
    coalesce(best_touches.method, 'none') as attribution_method,
    best_touches.send_event_id as attributed_send_event_id,
    best_touches.channel as attributed_channel,
    best_touches.campaign_id as attributed_campaign_id,
    best_touches.canvas_id as attributed_canvas_id,
    best_touches.canvas_step_id as attributed_canvas_step_id,
    best_touches.message_variation_id as attributed_message_variation_id,
    best_touches.touched_at,
    best_touches.sent_at,
    {{ seconds_between("best_touches.touched_at", "conversions.event_at") }}
    as seconds_since_touch,
    conversions.currency,
    conversions.revenue
from conversions
left join best_touches on conversions.event_id = best_touches.conversion_event_id
