"""The checksum and the counting of record ids."""

from __future__ import annotations

import pytest

from sandbox.salesforce import ids


@pytest.mark.parametrize(
    ("short", "whole"),
    [
        ("001R0000005hDFY", "001R0000005hDFYIA2"),
        ("001A000001UjmVN", "001A000001UjmVNIAZ"),
        ("a00D0000008pQRA", "a00D0000008pQRAIA2"),
    ],
)
def test_known_ids_get_their_known_suffix(short: str, whole: str) -> None:
    assert ids.normal(short) == whole
    assert ids.normal(whole) == whole


@pytest.mark.parametrize("text", ["", "001", "001R0000005hDFYIAX", "001R0000005h-FY", "001R0000005hDFYIA"])
def test_what_is_no_id_has_no_normal_form(text: str) -> None:
    assert ids.normal(text) is None


def test_counted_ids_differ_and_keep_their_order() -> None:
    made = [ids.make("801", number) for number in range(1, 5000)]
    assert len(set(made)) == len(made)
    assert [one[:15] for one in made] == sorted(one[:15] for one in made)
    assert all(ids.normal(one) == one for one in made)
