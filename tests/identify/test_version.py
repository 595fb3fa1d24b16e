import itertools

import pytest

from gateway.identify.version import Edition, Stands, stands

P = Edition(1, "preliminary", 100, 100, "p")
F = Edition(2, "final", 200, 200, "f")
U = Edition(3, "final", 150, 150, "", promotes=True)
C = Edition(4, "corrected", 300, 300, "c")
LATE_P = Edition(5, "preliminary", 400, 400, "lp")
X = Edition(6, "cancelled", 500, 500, "x")
W = Edition(7, "entered-in-error", 600, 600, "w")


@pytest.mark.parametrize(
    ("editions", "expected"),
    [
        ([], None),
        ([U], None),
        ([P], Stands(P, "preliminary")),
        ([P, U], Stands(P, "final")),
        ([P, F], Stands(F, "final")),
        ([P, U, F], Stands(F, "final")),
        ([F, LATE_P], Stands(F, "final")),
        ([F, C], Stands(C, "corrected")),
        ([C, Edition(8, "final", 350, 350, "g")], Stands(Edition(8, "final", 350, 350, "g"),
                                                          "amended")),
        ([F, Edition(8, "final", 250, 250, "f")], Stands(Edition(8, "final", 250, 250, "f"),
                                                          "final")),
        ([F, Edition(8, "corrected", 200, 250, "d")], Stands(Edition(8, "corrected", 200, 250, "d"),
                                                              "corrected")),
        ([F, Edition(8, "corrected", 200, 200, "d")], Stands(Edition(8, "corrected", 200, 200, "d"),
                                                              "corrected")),
        ([F, Edition(8, "corrected", 200, 150, "d")], Stands(F, "amended")),
        ([F, X], Stands(X, "cancelled")),
        ([F, X, W], Stands(W, "entered-in-error")),
        ([W, Edition(8, "final", 700, 700, "h")], Stands(Edition(8, "final", 700, 700, "h"),
                                                          "amended")),
        ([F, Edition(8, "final", 250, 250, "", promotes=True)], Stands(F, "final")),
        ([P, Edition(8, "preliminary", 120, 120, "q"), U],
         Stands(Edition(8, "preliminary", 120, 120, "q"), "final")),
    ],
)  # fmt: skip
def test_which_version_stands(editions: list[Edition], expected: Stands | None) -> None:
    assert stands(editions) == expected


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_the_order_of_arrival_does_not_matter(size: int) -> None:
    everything = (P, F, U, C, LATE_P, X, W)
    for some in itertools.combinations(everything, size):
        assert len({stands(order) for order in itertools.permutations(some)}) == 1
