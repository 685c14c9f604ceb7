"""The air against the published standard atmosphere and against an independent library (`ambiance`)."""

import numpy as np
import pytest
from ambiance import Atmosphere

from opencram.physics.air import AIR_STEP_M, air_table, isa

# U.S. Standard Atmosphere 1976 (equal to ICAO's to 32 km), table I by geometric height: m, kg/m3, m/s
PUBLISHED = [
    (0.0, 1.2250, 340.29),
    (1000.0, 1.1117, 336.43),
    (5000.0, 0.73643, 320.55),
    (10_000.0, 0.41351, 299.53),
    (15_000.0, 0.19476, 295.07),
    (20_000.0, 0.088910, 295.07),
    (25_000.0, 0.040084, 298.39),
    (30_000.0, 0.018410, 301.71),
]


@pytest.mark.parametrize(("height", "density", "sound"), PUBLISHED)
def test_published_rows(height: float, density: float, sound: float) -> None:
    found_density, found_sound = isa(height)
    assert found_density == pytest.approx(density, rel=6e-5)
    assert found_sound == pytest.approx(sound, abs=0.006)


def test_every_height_agrees_with_ambiance() -> None:
    height = np.linspace(-1900.0, 31_900.0, 677)
    other = Atmosphere(height)
    density, sound = isa(height)
    # ambiance starts its layers from pressures rounded to six digits
    np.testing.assert_allclose(density, other.density, rtol=3e-6)
    np.testing.assert_allclose(sound, other.speed_of_sound, rtol=1e-6)


def test_heights_outside_are_the_nearest_inside() -> None:
    assert isa(90_000.0) == isa(1e9)
    assert isa(-1e5) == isa(-90_000.0)


def test_table_starts_at_the_sites_height() -> None:
    table = air_table(409.0)
    assert table.shape == (301, 4)
    np.testing.assert_array_equal(table[:, 0], isa(409.0 + np.arange(301) * AIR_STEP_M)[0])
    assert not table[:, 2:].any()


def test_lines_between_the_rows_are_close_to_the_curve() -> None:
    height = np.arange(0.0, 30_000.0, 37.0)
    grid = np.arange(301) * AIR_STEP_M
    table = air_table(0.0)
    apart = np.abs(np.interp(height, grid, table[:, 0]) / isa(height)[0] - 1.0)
    corner = np.min(np.abs(height[:, None] - [11_019.0, 20_063.0]), axis=1) < AIR_STEP_M
    assert apart[~corner].max() < 5e-5
    # a line cuts the corner where two layers meet
    assert apart[corner].max() < 5e-4


def test_wind_is_linear_between_its_rows_and_holds_outside() -> None:
    table = air_table(0.0, wind=[(1000.0, 0.0, 4.0), (2000.0, 10.0, -4.0)])
    assert table[0, 2:].tolist() == [0.0, 4.0]
    assert table[15, 2:].tolist() == [5.0, 0.0]
    assert table[300, 2:].tolist() == [10.0, -4.0]


def test_measured_density_is_met_and_its_ratio_kept_above() -> None:
    standard = air_table(100.0)[:, 0]
    table = air_table(100.0, density=[(0.0, 1.1 * standard[0]), (1000.0, 0.9 * standard[10])])[:, 0]
    assert table[0] == pytest.approx(1.1 * standard[0], rel=1e-12)
    assert table[5] == pytest.approx(np.sqrt(1.1 * 0.9) * standard[5], rel=1e-12)
    np.testing.assert_allclose(table[10:], 0.9 * standard[10:], rtol=1e-12)
