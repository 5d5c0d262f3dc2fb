{#- A snapshot cannot be recreated, since mart_user_engagement knows the latest hour only: so each build replaces the day
    of that hour, leaves earlier days as they are, and takes away those that are too old; a build of everything does, too. -#}
{{
    config(
        materialized="incremental",
        full_refresh=false,
        on_schema_change="append_new_columns",
        unique_key="engagement_day_key",
        partition_by={"field": "day", "data_type": "date", "granularity": "month"},
        cluster_by=["user_key"],
        meta={
            "rebuild": {
                "snapshot": "day",
                "keep_days": var("engagement_snapshot_days"),
            }
        },
    )
}}
-- depends_on: {{ ref('int_message_events') }}
select
    concat(
        cast(cast(as_of as date) as {{ column_type("string") }}), '|', user_key
    ) as engagement_day_key,
    cast(as_of as date) as day,
    user_key,
    external_id,
    engagement_score,
    fatigue_level,
    preferred_channel,
    reachable_channels,
    reachable_channel_count,
    sends_7d,
    sends_30d,
    sends_90d,
    responses_7d,
    responses_30d,
    responses_90d,
    refusals_30d,
    sessions_30d,
    as_of
from {{ ref("mart_user_engagement") }}
