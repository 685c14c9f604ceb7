"""Made-up sites and raids: places by metres from an origin, square zones, and figures that are assumed."""

LAT, LON, METRE_LAT, METRE_LON = 33.3, 44.4, 1 / 111_000.0, 1 / 92_900.0


def place(east_m: float, north_m: float) -> dict[str, float]:
    """Latitude and longitude, degrees."""
    return {"lat": LAT + north_m * METRE_LAT, "lon": LON + east_m * METRE_LON}


def square(east_m: float, north_m: float, half_m: float) -> tuple[tuple[float, float], ...]:
    """The closed ring (5) of longitude and latitude round a square about a place."""
    sides = ((-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (-1.0, -1.0))
    corners = [place(east_m + e * half_m, north_m + n * half_m) for e, n in sides]
    return tuple((corner["lon"], corner["lat"]) for corner in corners)


def given(value: object) -> dict[str, object]:
    """A figure of a scenario."""
    return {"assumed": value, "why": "the benchmark's"}
