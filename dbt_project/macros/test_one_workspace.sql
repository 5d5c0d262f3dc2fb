{#- Passes when all events are of one workspace, whenever they came; else a row per workspace, with its events and days. -#}
{% test one_workspace(model) %}
    with
        workspaces as (
            select
                app_group_id,
                sum(delivered_events) as events,
                min(delivered_day) as first_day,
                max(delivered_day) as last_day
            from {{ model }}
            where app_group_id is not null
            group by app_group_id
        )
    select app_group_id, events, first_day, last_day
    from workspaces
    where (select count(*) from workspaces) > 1
{% endtest %}
