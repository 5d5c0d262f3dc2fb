{#- Small beside the events: a row per profile and campaign, and a row per change of a user's value. Both are read whole, as a value
    that was delivered long ago is still held. -#}
{%- set groups = ["with", "without", "before"] -%}
{%- set measures = [
    "treated_users",
    "treated_conversions",
    "control_users",
    "control_conversions",
    "opened_users",
    "clicked_users",
] -%}
{%- set measured = {
    "treated_users": "is_treated",
    "treated_conversions": "is_treated * has_converted",
    "control_users": "is_control",
    "control_conversions": "is_control * has_converted",
    "opened_users": "is_treated * has_opened",
    "clicked_users": "is_treated * has_clicked",
} -%}
with
    enrolments as (
        {# As in mart_campaign_performance: a person, who was ever in control counts as control. -#}
        select
            profiles.campaign_id,
            identity.user_key,
            min(profiles.first_enrolled_at) as enrolled_at,
            max(case when profiles.is_control then 1 else 0 end) as is_control,
            max(case when profiles.has_human_open then 1 else 0 end) as has_opened,
            max(case when profiles.has_human_click then 1 else 0 end) as has_clicked,
            max(case when profiles.has_conversion_0 then 1 else 0 end) as has_converted
        from {{ ref("int_campaign_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        where not identity.is_deleted
        group by profiles.campaign_id, identity.user_key
        having
            min(profiles.first_enrolled_at)
            > {{ days_after(latest_hour(ref("int_message_events")), -var("attribute_effect_window_days")) }}
    ),
    people as (
        select
            campaign_id,
            user_key,
            enrolled_at,
            is_control,
            1 - is_control as is_treated,
            has_opened,
            has_clicked,
            has_converted
        from enrolments
    ),
    ids as (
        {# A sync names users by external id or Braze id; an id that was given again is the living profile's. -#}
        select id, user_key
        from
            (
                select external_id as id, user_key, is_deleted, last_seen_at
                from {{ ref("int_user_identity") }}
                where external_id is not null
                union all
                select braze_user_id as id, user_key, is_deleted, last_seen_at
                from {{ ref("int_user_identity") }}
            ) as known
        where not is_deleted
        qualify
            row_number() over (partition by id order by last_seen_at desc, user_key) = 1
    ),
    held_values as (
        select
            delivered.sync,
            delivered.attribute,
            ids.user_key,
            delivered.value,
            delivered.delivered_at as held_from,
            lead(delivered.delivered_at) over (
                partition by delivered.sync, delivered.attribute, ids.user_key
                order by delivered.delivered_at, delivered.value_key
            ) as held_until
        from {{ ref("int_attribute_values") }} as delivered
        inner join ids on delivered.user_id = ids.id
    ),
    attributes as (
        select sync, attribute, min(delivered_at) as first_delivered_at
        from {{ ref("int_attribute_values") }}
        group by sync, attribute
    ),
    holders as (
        select
            held_values.sync,
            held_values.attribute,
            held_values.value,
            people.campaign_id
            {%- for measure, expression in measured.items() %}
                , {{ whole_sum(expression) }} as {{ measure }}
            {%- endfor %}
        from people
        inner join held_values on people.user_key = held_values.user_key
        where
            held_values.value is not null
            and held_values.held_from < people.enrolled_at
            and (
                held_values.held_until is null
                or held_values.held_until >= people.enrolled_at
            )
        group by
            held_values.sync,
            held_values.attribute,
            held_values.value,
            people.campaign_id
        having count(*) >= {{ var("attribute_effect_least_users") }}
    ),
    everybody as (
        select
            attributes.sync,
            attributes.attribute,
            people.campaign_id
            {%- for measure, expression in measured.items() %}
                ,
                {{
                    whole_sum(
                        "case when people.enrolled_at > attributes.first_delivered_at then "
                        ~ expression
                        ~ " else 0 end"
                    )
                }}
                as after_{{ measure }},
                {{
                    whole_sum(
                        "case when people.enrolled_at > attributes.first_delivered_at then 0 else "
                        ~ expression
                        ~ " end"
                    )
                }}
                as before_{{ measure }}
            {%- endfor %}
        from people
        cross join attributes
        group by attributes.sync, attributes.attribute, people.campaign_id
    ),
    counts as (
        select
            holders.sync,
            holders.attribute,
            holders.value,
            holders.campaign_id,
            attributes.first_delivered_at
            {%- for measure in measures %}
                ,
                holders.{{ measure }} as with_{{ measure }},
                everybody.after_{{ measure }}
                - holders.{{ measure }} as without_{{ measure }},
                everybody.before_{{ measure }}
            {%- endfor %}
        from holders
        inner join
            everybody
            on holders.sync = everybody.sync
            and holders.attribute = everybody.attribute
            and holders.campaign_id = everybody.campaign_id
        inner join
            attributes
            on holders.sync = attributes.sync
            and holders.attribute = attributes.attribute
    ),
    rates as (
        select
            counts.*
            {%- for group in groups %}
                {%- for arm in ["treated", "control"] %}
                    ,
                    {{
                        rate_with_interval(
                            group ~ "_" ~ arm ~ "_rate",
                            group ~ "_" ~ arm ~ "_conversions",
                            group ~ "_" ~ arm ~ "_users",
                        )
                    }}
                {%- endfor %}
            {%- endfor %}
        from counts
    ),
    lifts as (
        select
            rates.*
            {%- for group in groups %}
                ,
                {{
                    difference_with_interval(
                        group ~ "_lift",
                        group ~ "_treated_rate",
                        group ~ "_control_rate",
                    )
                }}
            {%- endfor %}
        from rates
    )
select
    concat(
        lifts.sync, '|', lifts.attribute, '|', lifts.value, '|', lifts.campaign_id
    ) as attribute_effect_key,
    lifts.sync,
    lifts.attribute,
    lifts.value,
    lifts.campaign_id,
    campaigns.campaign_name,
    lifts.first_delivered_at
    {%- for group in groups %}
        ,
        lifts.{{ group }}_treated_users,
        lifts.{{ group }}_treated_conversions,
        lifts.{{ group }}_control_users,
        lifts.{{ group }}_control_conversions,
        round(lifts.{{ group }}_treated_rate, 6) as {{ group }}_treated_rate,
        round(lifts.{{ group }}_control_rate, 6) as {{ group }}_control_rate,
        lifts.{{ group }}_lift,
        lifts.{{ group }}_lift_low,
        lifts.{{ group }}_lift_high,
        round(
            lifts.{{ group }}_opened_users
            * 1.0
            / nullif(lifts.{{ group }}_treated_users, 0),
            6
        ) as {{ group }}_open_rate,
        round(
            lifts.{{ group }}_clicked_users
            * 1.0
            / nullif(lifts.{{ group }}_treated_users, 0),
            6
        ) as {{ group }}_click_rate
    {%- endfor %},
    {{ difference_with_interval("difference", "lifts.with_lift", "lifts.without_lift") }},
    {{ difference_with_interval("gain", "lifts.with_lift", "lifts.before_lift") }}
from lifts
left join
    {{ ref("dim_campaign") }} as campaigns on lifts.campaign_id = campaigns.campaign_id
