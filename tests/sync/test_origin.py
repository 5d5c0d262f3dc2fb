"""The walk from a column to what it is made of."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from braze_platform.sync.origin import Origin, origins_markdown, walk_origins

GRAPH = {
    "attributes/engagement": {"score": [("marts/engagement", "opens"), ("marts/engagement", "clicks")]},
    "marts/engagement": {
        "opens": [("staging/open", "id"), ("staging/identity", "user")],
        "clicks": [("staging/click", "id"), ("staging/identity", "user")],
        "ignored": [("staging/other", "id")],
    },
    "staging/open": {"id": [("currents/open", "id")]},
    "staging/click": {"id": [("currents/click", "id")]},
    "staging/identity": {"user": [("currents/open", "user_id")]},
}


def test_a_column_is_followed_to_where_the_record_ends() -> None:
    assert walk_origins(("attributes/engagement", "score"), lambda asset: GRAPH.get(asset, {})) == [
        Origin(0, "attributes/engagement", ("score",)),
        Origin(1, "marts/engagement", ("clicks", "opens")),
        Origin(2, "staging/click", ("id",)),
        Origin(2, "staging/identity", ("user",)),
        Origin(2, "staging/open", ("id",)),
        Origin(3, "currents/click", ("id",)),
        Origin(3, "currents/open", ("id", "user_id")),
    ]


def test_the_table_links_to_the_assets() -> None:
    table = origins_markdown([Origin(0, "marts/engagement", ("clicks", "opens"))])
    assert "| 1 | [marts/engagement](/assets/marts/engagement) | clicks, opens |" in table


_columns = st.tuples(st.sampled_from("abcd"), st.sampled_from("xyz"))


@given(
    st.dictionaries(
        st.sampled_from("abcd"),
        st.dictionaries(st.sampled_from("xyz"), st.lists(_columns, max_size=3)),
    ),
    _columns,
)
def test_any_record_ends_even_one_in_circles(graph: dict, start: tuple[str, str]) -> None:
    asked: Counter[str] = Counter()

    def lineage_of(asset: str) -> dict:
        asked[asset] += 1
        return graph.get(asset, {})

    found = {
        (origin.asset, column) for origin in walk_origins(start, lineage_of) for column in origin.columns
    }
    reachable, frontier = {start}, [start]
    while frontier:
        asset, column = frontier.pop()
        for source in graph.get(asset, {}).get(column, ()):
            if source not in reachable:
                reachable.add(source)
                frontier.append(source)
    assert found == reachable
    assert max(asked.values()) == 1
