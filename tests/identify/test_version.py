import pytest

from gateway.identify.version import Edition, Step, step

FINAL = Edition("final", 100, 100, "a")


@pytest.mark.parametrize(
    ("published", "new", "expected"),
    [
        (None, FINAL, Step.PUBLISH),
        (Edition("", 0, 0, ""), FINAL, Step.PUBLISH),
        (FINAL, Edition("final", 300, 300, "a"), Step.SAME),
        (FINAL, Edition("corrected", 200, 200, "b"), Step.PUBLISH),
        (FINAL, Edition("final", 200, 200, "b"), Step.AMEND),
        (FINAL, Edition("final", 50, 200, "b"), Step.LATE),
        (FINAL, Edition("preliminary", 200, 200, "b"), Step.LATE),
        (FINAL, Edition("corrected", 100, 50, "b"), Step.LATE),
        (FINAL, Edition("corrected", 100, 100, "b"), Step.PUBLISH),
        (Edition("preliminary", 100, 100, "a"), Edition("final", 100, 100, "b"), Step.PUBLISH),
        (
            Edition("preliminary", 100, 100, "a"),
            Edition("preliminary", 200, 200, "b"),
            Step.PUBLISH,
        ),
        (Edition("corrected", 100, 100, "a"), Edition("final", 200, 200, "b"), Step.AMEND),
    ],
)
def test_which_version_stands(published: Edition | None, new: Edition, expected: Step) -> None:
    assert step(published, new) is expected
