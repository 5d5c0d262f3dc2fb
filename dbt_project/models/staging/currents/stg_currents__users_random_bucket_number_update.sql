{{
    staged_event(
        source("currents", "users_random_bucket_number_update"),
    )
}}
