with
    people as (
        select distinct
            moves.canvas_id,
            moves.canvas_variation_id,
            moves.from_node,
            moves.to_node,
            moves.move,
            identity.user_key
        from {{ ref("int_canvas_moves") }} as moves
        inner join
            {{ ref("int_user_identity") }} as identity
            on moves.braze_user_id = identity.braze_user_id
    ),
    edges as (
        select
            canvas_id, canvas_variation_id, from_node, to_node, move, count(*) as users
        from people
        group by canvas_id, canvas_variation_id, from_node, to_node, move
    ),
    leavers as (
        select
            canvas_id, canvas_variation_id, from_node, count(distinct user_key) as users
        from people
        group by canvas_id, canvas_variation_id, from_node
    )
select
    concat(
        edges.canvas_id,
        '|',
        edges.canvas_variation_id,
        '|',
        edges.from_node,
        '|',
        edges.to_node
    ) as canvas_edge_key,
    edges.canvas_id,
    canvases.canvas_name,
    edges.canvas_variation_id,
    edges.move,
    edges.from_node,
    coalesce(from_steps.canvas_step_name, edges.from_node) as from_name,
    edges.to_node,
    coalesce(to_steps.canvas_step_name, edges.to_node) as to_name,
    edges.users,
    edges.users * 1.0 / leavers.users as share_of_leavers
from edges
inner join
    leavers
    on edges.canvas_id = leavers.canvas_id
    and edges.canvas_variation_id = leavers.canvas_variation_id
    and edges.from_node = leavers.from_node
left join {{ ref("dim_canvas") }} as canvases on edges.canvas_id = canvases.canvas_id
left join
    {{ ref("dim_canvas_step") }} as from_steps
    on edges.from_node = from_steps.canvas_step_id
left join
    {{ ref("dim_canvas_step") }} as to_steps on edges.to_node = to_steps.canvas_step_id
