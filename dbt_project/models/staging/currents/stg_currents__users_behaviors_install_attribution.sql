{{
    staged_event(
        source("currents", "users_behaviors_install_attribution"),
    )
}}
