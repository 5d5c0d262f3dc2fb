select
    external_id,
    engagement_score,
    preferred_channel,
    last_engaged_at,
    fatigue_level,
    cast(best_send_hour as {{ column_type("integer") }}) as best_send_hour
from {{ ref("mart_user_engagement") }}
where external_id is not null and (sends_30d > 0 or last_engaged_at is not null)
