{#- A user's cohort is the day of the first session; a first session that follows another one of the same user within
    retention_window_days is none. A merge makes one user of two only in cohorts that begin at most retention_window_days
    before or after it: that bounds the cohorts which a merge, a late session or a late first session can change. -#}
{%- set late = var("late_event_days") -%}
{%- set window = var("retention_window_days") -%}
{%- set before = late + window + 6 -%}
{%- set after = window + 3 -%}
{%- set last_number = {"day": window, "week": (window - 6) // 7} -%}
{{
    config(
        materialized="incremental",
        unique_key="retention_key",
        partition_by={"field": "cohort_start", "data_type": "date", "granularity": "month"},
        meta={
            "rebuild": {
                "column": "cohort_start",
                "kind": "date",
                "before_days": before,
                "after_days": after,
            }
        },
    )
}}
{%- set is_known_merge -%}
    merges.last_merged_hour <= {{ days_after("cast(cohort_day as timestamp)", window) }}
    and merges.first_merged_hour >= {{ days_after("cast(cohort_day as timestamp)", -window) }}
{%- endset %}
with
    firsts as (
        select distinct braze_user_id, day as cohort_day
        from {{ ref("stg_currents__users_behaviors_app_first_session") }}
        where
            braze_user_id is not null
            and {{ in_rebuild_window("day", before_days=before + window, after_days=after + 6, kind="date") }}
            and {{ in_rebuild_window("delivered_hour", before_days=before + window + 2, after_days=after + 6 + late + 1) }}
    ),
    survivors as (
        select
            coalesce(
                merges.surviving_braze_user_id, firsts.braze_user_id
            ) as braze_user_id,
            firsts.cohort_day
        from firsts
        left join
            {{ ref("int_user_merges") }} as merges
            on firsts.braze_user_id = merges.braze_user_id
            and {{ is_known_merge }}
        where true
        qualify
            row_number() over (
                partition by firsts.braze_user_id, firsts.cohort_day
                order by merges.merges desc, merges.merge_key
            )
            = 1
    ),
    candidates as (select distinct braze_user_id, cohort_day from survivors),
    members as (
        select braze_user_id, cohort_day, braze_user_id as member_id
        from candidates
        union distinct
        select
            candidates.braze_user_id,
            candidates.cohort_day,
            merges.braze_user_id as member_id
        from candidates
        inner join
            {{ ref("int_user_merges") }} as merges
            on candidates.braze_user_id = merges.surviving_braze_user_id
            and {{ is_known_merge }}
    ),
    users as (
        select members.braze_user_id, members.cohort_day
        from members
        left join
            firsts as earlier
            on members.member_id = earlier.braze_user_id
            and earlier.cohort_day < members.cohort_day
            and earlier.cohort_day >= {{ date_after("members.cohort_day", -window) }}
        group by members.braze_user_id, members.cohort_day
        having count(earlier.cohort_day) = 0
    ),
    activity as (
        select distinct users.braze_user_id, users.cohort_day, days.day
        from users
        inner join
            members
            on users.braze_user_id = members.braze_user_id
            and users.cohort_day = members.cohort_day
        inner join
            {{ ref("int_session_days") }} as days
            on members.member_id = days.braze_user_id
        where
            days.day >= users.cohort_day
            and days.day <= {{ date_after("users.cohort_day", window) }}
            and {{ in_rebuild_window("days.day", before_days=before, after_days=after + 6 + window, kind="date") }}
    ),
    user_periods as (
        select 'day' as period, cohort_day as cohort_start, braze_user_id
        from users
        union all
        select
            'week' as period, {{ week_of("cohort_day") }} as cohort_start, braze_user_id
        from users
    ),
    cohorts as (
        select period, cohort_start, count(distinct braze_user_id) as users
        from user_periods
        where
            {{ in_rebuild_window("cohort_start", before_days=before, after_days=after, kind="date") }}
        group by period, cohort_start
    ),
    active_periods as (
        select
            'day' as period,
            cohort_day as cohort_start,
            braze_user_id,
            {{ days_between("cohort_day", "day") }} as period_number
        from activity
        union distinct
        select
            'week' as period,
            {{ week_of("cohort_day") }} as cohort_start,
            braze_user_id,
            cast(
                {{ days_between(week_of("cohort_day"), week_of("day")) }}
                / 7 as {{ column_type("integer") }}
            ) as period_number
        from activity
    ),
    active_users as (
        select
            period,
            cohort_start,
            period_number,
            count(distinct braze_user_id) as retained_users
        from active_periods
        group by period, cohort_start, period_number
    ),
    first_returns as (
        select period, cohort_start, braze_user_id, min(period_number) as period_number
        from active_periods
        where period_number > 0
        group by period, cohort_start, braze_user_id
    ),
    first_return_counts as (
        select period, cohort_start, period_number, count(*) as returning_users
        from first_returns
        group by period, cohort_start, period_number
    ),
    numbers as (
        {%- for period, last in last_number.items() %}
            {%- for number in range(last + 1) %}
                select '{{ period }}' as period, {{ number }} as period_number
                {% if not loop.last %}
                    union all
                {% endif %}
            {%- endfor %}
            {% if not loop.last %}
                union all
            {% endif %}
        {%- endfor %}
    )
select
    concat(
        cohorts.period,
        '|',
        cast(cohorts.cohort_start as {{ column_type("string") }}),
        '|',
        cast(numbers.period_number as {{ column_type("string") }})
    ) as retention_key,
    cohorts.period,
    cohorts.cohort_start,
    cast(numbers.period_number as {{ column_type("integer") }}) as period_number,
    cohorts.users,
    coalesce(active_users.retained_users, 0) as retained_users,
    cast(
        sum(coalesce(first_return_counts.returning_users, 0)) over (
            partition by cohorts.period, cohorts.cohort_start
            order by numbers.period_number
        ) as {{ column_type("integer") }}
    ) as returned_users
from cohorts
inner join numbers on cohorts.period = numbers.period
left join
    active_users
    on cohorts.period = active_users.period
    and cohorts.cohort_start = active_users.cohort_start
    and numbers.period_number = active_users.period_number
left join
    first_return_counts
    on cohorts.period = first_return_counts.period
    and cohorts.cohort_start = first_return_counts.cohort_start
    and numbers.period_number = first_return_counts.period_number
