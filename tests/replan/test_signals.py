"""Late signals: carried forward up to an age, and refused beyond."""

import pandas as pd
import pytest
import tables

from jaxplace.errors import InputError
from jaxplace.replan.signals import Carried, carry, note
from jaxplace.scenario import Scenario


def without(*gone):
    """A scenario that lacks these (hour, zone) rows of `signals`."""
    frames = tables.tables()
    key = list(zip(frames["signals"]["time_utc"], frames["signals"]["grid_zone"], strict=True))
    keep = [pair not in gone for pair in key]
    return Scenario(**frames | {"signals": frames["signals"][keep]})


def test_nothing_is_missing():
    """The scenario itself comes back."""
    scenario = without()
    assert carry(scenario, tables.HOURS[5], 0.0) == (scenario, [])


def test_a_zone_is_carried_forward():
    """Its newest older row stands in; the others keep theirs."""
    hour = tables.HOURS[5]
    scenario = without((hour, "z1"), (tables.HOURS[4], "z1"))
    mended, carried = carry(scenario, hour, 3.0)
    assert carried == [Carried("z1", 2.0)]
    now, old = mended.at(hour).terms, scenario.at(tables.HOURS[3]).terms
    assert now.price_usd_per_mwh[1] == old.price_usd_per_mwh[1]
    assert now.price_usd_per_mwh[0] == without().at(hour).terms.price_usd_per_mwh[0]
    assert "z1 (2 h)" in note(carried, hour)


def test_too_old_is_refused():
    """Beyond the limit, or with no earlier row at all, the message names zone and age."""
    hour = tables.HOURS[5]
    scenario = without((hour, "z1"), (tables.HOURS[4], "z1"))
    with pytest.raises(InputError, match=r"'z1' \(2 h old\)"):
        carry(scenario, hour, 1.9)
    with pytest.raises(InputError, match=r"3 grid zones.*no earlier row"):
        carry(scenario, "2022-06-30T00:00", 1e9)


def test_a_whole_hour_is_carried_forward():
    """An hour that `signals` does not have at all."""
    mended, carried = carry(without(), "2022-07-02T01:00", 3.0)
    assert {c.age_h for c in carried} == {2.0}
    assert mended.hours == ("2022-07-02T01:00",)
    assert pd.Timestamp(mended.at().hour) == pd.Timestamp("2022-07-02T01:00")
