with
    experiment_controls as (
        {# Who was ever in the control path of an experiment counts there and on no other path. -#}
        select
            profiles.experiment_step_id,
            identity.user_key,
            max(case when profiles.is_control then 1 else 0 end) as is_ever_control
        from {{ ref("int_experiment_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by profiles.experiment_step_id, identity.user_key
    ),
    people as (
        select
            profiles.experiment_step_id,
            profiles.experiment_split_id,
            identity.user_key,
            max(case when profiles.is_entered then 1 else 0 end) as is_entered,
            max(case when profiles.is_control then 1 else 0 end) as is_control
            {%- for index in range(4) %}
                ,
                max(
                    case when profiles.has_conversion_{{ index }} then 1 else 0 end
                ) as has_conversion_{{ index }}
            {%- endfor %}
        from {{ ref("int_experiment_profiles") }} as profiles
        inner join
            {{ ref("int_user_identity") }} as identity
            on profiles.braze_user_id = identity.braze_user_id
        group by
            profiles.experiment_step_id, profiles.experiment_split_id, identity.user_key
    ),
    counted as (
        select people.*
        from people
        inner join
            experiment_controls
            on people.experiment_step_id = experiment_controls.experiment_step_id
            and people.user_key = experiment_controls.user_key
        where people.is_control = 1 or experiment_controls.is_ever_control = 0
    ),
    splits as (
        select
            experiment_step_id,
            experiment_split_id,
            max(is_control) = 1 as is_control,
            {{ whole_sum("is_entered") }} as entered_users
            {%- for index in range(4) %}
                ,
                {{ whole_sum("is_entered * has_conversion_" ~ index) }}
                as conversions_{{ index }}
            {%- endfor %}
        from counted
        group by experiment_step_id, experiment_split_id
    ),
    rates as (
        select
            experiment_step_id,
            experiment_split_id,
            is_control,
            {{ rate_with_interval("rate", "conversions_0", "entered_users") }}
        from splits
    ),
    control_groups as (
        select
            experiment_step_id,
            {{ whole_sum("conversions_0") }} as conversions,
            {{ whole_sum("entered_users") }} as users
        from splits
        where is_control
        group by experiment_step_id
    ),
    control_rates as (
        select
            experiment_step_id, {{ rate_with_interval("rate", "conversions", "users") }}
        from control_groups
    ),
    experiment_names as (
        select id, parent_id as canvas_id, name
        from {{ ref("int_message_names") }}
        where kind = 'experiment_step'
        qualify
            row_number() over (
                partition by id
                order by
                    case when name is null then 1 else 0 end, last_seen_at desc, name
            )
            = 1
    ),
    split_names as (
        select parent_id, id, name
        from {{ ref("int_message_names") }}
        where kind = 'experiment_split' and name is not null
        qualify
            row_number() over (
                partition by parent_id, id order by last_seen_at desc, name
            )
            = 1
    )
select
    concat(
        splits.experiment_step_id, '|', splits.experiment_split_id
    ) as experiment_split_key,
    splits.experiment_step_id,
    experiment_names.name as experiment_step_name,
    experiment_names.canvas_id,
    canvases.canvas_name,
    splits.experiment_split_id,
    split_names.name as experiment_split_name,
    splits.is_control,
    splits.entered_users,
    splits.conversions_0 as conversions,
    splits.conversions_1 as conversions_b,
    splits.conversions_2 as conversions_c,
    splits.conversions_3 as conversions_d,
    coalesce(control_groups.users, 0) as control_users,
    coalesce(control_groups.conversions, 0) as control_conversions,
    round(rates.rate, 6) as conversion_rate,
    round(rates.rate_low, 6) as conversion_rate_low,
    round(rates.rate_high, 6) as conversion_rate_high,
    round(control_rates.rate, 6) as control_conversion_rate,
    {%- for bound, side in [("", none), ("_low", -1), ("_high", 1)] %}
        case
            when not splits.is_control
            then
                round(
                    {{
                        "rates.rate - control_rates.rate"
                        if side is none
                        else difference_bound("rates.rate", "control_rates.rate", side)
                    }},
                    6
                )
        end as uplift{{ bound }}{{ "," if not loop.last }}
    {%- endfor %}
from splits
inner join
    rates
    on splits.experiment_step_id = rates.experiment_step_id
    and splits.experiment_split_id = rates.experiment_split_id
left join
    control_groups on splits.experiment_step_id = control_groups.experiment_step_id
left join control_rates on splits.experiment_step_id = control_rates.experiment_step_id
left join experiment_names on splits.experiment_step_id = experiment_names.id
left join
    {{ ref("dim_canvas") }} as canvases
    on experiment_names.canvas_id = canvases.canvas_id
left join
    split_names
    on splits.experiment_step_id = split_names.parent_id
    and splits.experiment_split_id = split_names.id
