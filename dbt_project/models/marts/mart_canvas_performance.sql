with
    totals as (
        select
            canvas_id,
            {{ whole_sum("sends") }} as sends,
            {# As in mart_campaign_performance: without delivery events, what was sent and did not fail, arrived. -#}
            {{
                whole_sum(
                    "case when channel in ('email', 'sms', 'whatsapp', 'rcs') then delivery_events "
                    ~ "else sends - bounces - failures end"
                )
            }}
            as deliveries
        from {{ ref("fct_messages_daily") }}
        where canvas_id is not null
        group by canvas_id
    ),
    canvas_users as (
        {# A person, all profiles, variations and steps together; who was ever in control counts as control. -#}
        select
            profiles.canvas_id,
            identity.user_key,
            max(case when profiles.is_entered then 1 else 0 end) as is_entered,
            max(case when profiles.is_control then 1 else 0 end) as is_control,
            max(case when profiles.has_human_open then 1 else 0 end) as has_human_open,
            max(case when profiles.has_human_click then 1 else 0 end) as has_human_click
            {%- for index in range(4) %}
                ,
                max(
                    case when profiles.has_conversion_{{ index }} then 1 else 0 end
                ) as has_conversion_{{ index }}
            {%- endfor %}
        from {{ ref("int_canvas_step_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by profiles.canvas_id, identity.user_key
    ),
    canvas_groups as (
        select
            canvas_id,
            {{ whole_sum("has_human_open") }} as unique_human_opens,
            {{ whole_sum("has_human_click") }} as unique_human_clicks,
            {%- for index in range(4) %}
                {{ whole_sum("has_conversion_" ~ index ~ " * (1 - is_control)") }}
                as conversions_{{ index }},
            {%- endfor %}
            {{ whole_sum("is_entered * (1 - is_control)") }} as treated_users,
            {{ whole_sum("is_control") }} as control_users,
            {{ whole_sum("is_entered * (1 - is_control) * has_conversion_0") }}
            as treated_conversions,
            {{ whole_sum("is_control * has_conversion_0") }} as control_conversions
        from canvas_users
        group by canvas_id
    ),
    rates as (
        select
            canvas_id,
            {{ rate_with_interval("treated_rate", "treated_conversions", "treated_users") }},
            {{ rate_with_interval("control_rate", "control_conversions", "control_users") }}
        from canvas_groups
    )
select
    canvases.canvas_id,
    canvases.canvas_name,
    canvases.channel,
    coalesce(totals.sends, 0) as sends,
    coalesce(totals.deliveries, 0) as deliveries,
    coalesce(canvas_groups.unique_human_opens, 0) as unique_human_opens,
    coalesce(canvas_groups.unique_human_clicks, 0) as unique_human_clicks,
    coalesce(canvas_groups.conversions_0, 0) as conversions,
    coalesce(canvas_groups.conversions_1, 0) as conversions_b,
    coalesce(canvas_groups.conversions_2, 0) as conversions_c,
    coalesce(canvas_groups.conversions_3, 0) as conversions_d,
    coalesce(canvas_groups.treated_users, 0) as treated_users,
    coalesce(canvas_groups.control_users, 0) as control_users,
    coalesce(canvas_groups.treated_conversions, 0) as treated_conversions,
    coalesce(canvas_groups.control_conversions, 0) as control_conversions,
    round(rates.treated_rate, 6) as treated_conversion_rate,
    round(rates.control_rate, 6) as control_conversion_rate,
    {{ difference_with_interval("lift", "rates.treated_rate", "rates.control_rate") }},
    canvases.first_seen_at,
    canvases.last_seen_at
from {{ ref("dim_canvas") }} as canvases
left join totals on canvases.canvas_id = totals.canvas_id
left join canvas_groups on canvases.canvas_id = canvas_groups.canvas_id
left join rates on canvases.canvas_id = rates.canvas_id
