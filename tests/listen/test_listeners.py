"""Which listeners the settings ask for."""

from __future__ import annotations

import inspect
from typing import get_type_hints

from tailrace.config import Address, ListenerSettings
from tailrace.wiring.listeners import MAKERS, maker


def test_every_address_of_the_settings_has_its_listener() -> None:
    """By the setting's name; each is made of the address, the settings, the gateway and the metrics."""
    hints = get_type_hints(ListenerSettings, include_extras=True)
    assert {name for name, hint in hints.items() if hint == Address | None} == set(MAKERS)
    for name in MAKERS:
        assert list(inspect.signature(maker(name)).parameters) == ["address", "settings", "gateway", "metrics"], name
