"""What a browser tab remembers."""

from __future__ import annotations

import pytest

from app.ui.tab import Rated, Tab


def test_what_is_stored_is_read_back() -> None:
    tab = Tab(
        person="p" * 32,
        conversation="c1",
        path=("a1", "a2"),
        model="m",
        rated=Rated(answer_id="a1", value="up"),
    )
    assert Tab.read(tab.store()) == tab


@pytest.mark.parametrize("stored", [None, "", "{", "7", "[]", "{}", '{"person": ""}', {}, 7])
def test_what_cannot_be_read_is_a_new_person(stored: object) -> None:
    tab = Tab.read(stored)
    assert len(tab.person) == 32 and tab.conversation is None


def test_people_are_told_apart() -> None:
    assert Tab.new().person != Tab.new().person


def test_a_fresh_tab_keeps_who_asks_and_which_model() -> None:
    tab = Tab(person="p" * 32, conversation="c1", path=("a1",), model="m")
    assert tab.fresh() == Tab(person="p" * 32, model="m")


def test_keys_of_another_version_are_no_reason_to_forget_a_person() -> None:
    assert Tab.read('{"person": "12345678", "later": 1}') == Tab(person="12345678")
    assert Tab.read('{"person": "12345678", "path": 1}') == Tab(person="12345678")
