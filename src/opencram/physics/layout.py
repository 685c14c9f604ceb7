"""A site laid out in its own east-north-up frame, once, in the arrays that the stages and kernels use."""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from shapely import MultiPolygon, Polygon, transform

from opencram.physics.air import air_table
from opencram.physics.frames import Origin, enu_to_geodetic, geodetic_to_enu, sensor_rotation
from opencram.physics.place import E_GRID_E, E_GRID_N, E_GRID_STEP, E_GRID_TOP, FLAT, environment
from opencram.physics.polygon import rings
from opencram.site import Position, Sensor, Site, Zone
from opencram.tables import FloatArray, IntArray

DEFAULT_FALSE_PLOTS, DEFAULT_P_DETECT = 5.0, 0.9
"""What a sensor is taken for whose site does not say, before it has been seen at work."""
FEWEST_FALSE_PLOTS = 0.1
RANGE_RATE_SPAN_MPS = 1_600.0
"""False plots' range rates are taken as uniform over this span, from 800 m/s closing to 800 m/s receding."""
WORST_SIGMA = 3.0
"""A detected plot is never taken to be worse than this multiple of what its sensor states."""
BUFFER_QUADRANT_SEGMENTS = 4


@dataclass(frozen=True, eq=False)
class Layout:
    """The site in metres and radians; rows follow the order of the site's own lists."""

    origin: Origin
    env: FloatArray
    air: FloatArray
    ground: FloatArray
    """Height of the ground on a grid, (0, 0) where it is flat."""
    sensor_index: dict[str, int]
    sensor_enu_m: FloatArray
    sensor_rot: FloatArray
    sensor_sigma: FloatArray
    """(s, 4): range m, azimuth rad, elevation rad, range rate m/s; NaN where it is not measured."""
    reference_snr_db: FloatArray
    """(s,): below this SNR a plot is less exact than the sensor's sigma says."""
    reference: FloatArray
    """(s, 2): at which range (m) and of which cross-section (dB m2) that is."""
    update_ns: IntArray
    coverage: FloatArray
    """(s, 6): range from, to (m); azimuth from, width (rad); elevation from, to (rad)."""
    resolution: FloatArray
    """(s, 3): two objects nearer than this in range (m), azimuth and elevation (rad) give one plot."""
    p_detect: FloatArray
    """(s,), and `false_plots` (s,) per scan: NaN where the site does not say."""
    false_plots: FloatArray
    zone_index: dict[str, int]
    zone_shapes: tuple[MultiPolygon, ...]
    asset_enu_m: FloatArray
    effector_enu_m: FloatArray
    _rings: dict[float, tuple[FloatArray, IntArray, IntArray]] = field(default_factory=dict)

    def zone_rings(self, hazard_m: float) -> tuple[FloatArray, IntArray, IntArray]:
        """All zones, enlarged by the hazard radius, as `polygon.rings` gives them."""
        if hazard_m not in self._rings:
            enlarged = (shape.buffer(hazard_m, BUFFER_QUADRANT_SEGMENTS) for shape in self.zone_shapes)
            self._rings[hazard_m] = rings(enlarged)
        return self._rings[hazard_m]

    def latlon_deg(self, enu_m: FloatArray) -> FloatArray:
        """Latitude and longitude in degrees (..., 2) of ground points (..., 2), at the origin's height."""
        flat = np.asarray(enu_m, np.float64)
        up = -(flat**2).sum(axis=-1, keepdims=True) / (2.0 * self.origin.radius_m)
        lat, lon, _ = enu_to_geodetic(np.concatenate([flat, up], axis=-1), self.origin)
        return np.degrees(np.stack([lat, lon], axis=-1))

    def covered(self, sensor: int, pos_enu_m: FloatArray) -> FloatArray:
        """Which of the points (n, 3) are inside a sensor's stated coverage, as a mask (n,)."""
        range_m, az, el = self.seen_from(sensor, pos_enu_m).T
        near, far, az_from, az_width, low, high = self.coverage[sensor]
        azimuth = np.mod(az - az_from, 2.0 * np.pi)
        seen: FloatArray = (range_m >= near) & (range_m <= far) & (azimuth <= az_width) & (el >= low) & (el <= high)
        return seen

    def seen_from(self, sensor: int, pos_enu_m: FloatArray) -> FloatArray:
        """Range (m), azimuth and elevation (rad) of points (n, 3) from a sensor, as (n, 3)."""
        local = turned(pos_enu_m - self.sensor_enu_m[sensor], self.sensor_rot[sensor])
        flat = np.hypot(local[:, 0], local[:, 1])
        angles = np.arctan2(local[:, 0], local[:, 1]), np.arctan2(local[:, 2], flat)
        return np.column_stack([np.hypot(flat, local[:, 2]), *angles])

    def plot_sigma(self, sensor: int, snr_db: FloatArray) -> FloatArray:
        """Sigmas (m, 4) of a sensor's plots: as stated, larger for a plot whose SNR (NaN: not told) is below reference.

        Noise goes with 1 / sqrt(SNR): Skolnik, Radar Handbook, chapter on tracking accuracy.
        """
        if np.isnan(snr_db).all():
            return np.tile(self.sensor_sigma[sensor], (len(snr_db), 1))
        weaker_db = self.reference_snr_db[sensor] - snr_db
        worse = np.fmin(np.fmax(10.0 ** (weaker_db / 20.0), 1.0), WORST_SIGMA)
        sigma: FloatArray = worse[:, None] * self.sensor_sigma[sensor]
        return sigma


def turned(vectors: FloatArray, rot: FloatArray) -> FloatArray:
    """`rot` (3, 3) times each of the vectors (n, 3); written out, so that a row's bits do not depend on the others."""
    x, y, z = vectors[:, 0, None], vectors[:, 1, None], vectors[:, 2, None]
    result: FloatArray = x * rot[:, 0] + y * rot[:, 1] + z * rot[:, 2]
    return result


@lru_cache(maxsize=16)
def layout_of(site: Site) -> Layout:
    """The layout of a site; the same object for the same site."""
    origin = origin_of(site.origin)
    poses = [sensor_rotation(origin_of(s.position), origin) for s in site.sensors]
    env, ground = _ground(site, origin)
    return Layout(
        origin=origin,
        env=env,
        air=_air(site, origin),
        ground=ground,
        sensor_index={s.id: i for i, s in enumerate(site.sensors)},
        sensor_enu_m=_rows([at for _, at in poses], 3),
        sensor_rot=np.array([rot for rot, _ in poses]).reshape(-1, 3, 3),
        sensor_sigma=_rows([_sigmas(s) for s in site.sensors], 4),
        reference_snr_db=np.array([s.reference.snr_db for s in site.sensors], np.float64),
        reference=_rows([_reference(s) for s in site.sensors], 2),
        update_ns=np.array([round(s.update_s * 1e9) for s in site.sensors], np.int64),
        coverage=_rows([_coverage(s) for s in site.sensors], 6),
        resolution=_rows([_resolution(s) for s in site.sensors], 3),
        p_detect=np.array([np.nan if s.detection is None else s.detection for s in site.sensors]),
        false_plots=np.array([_false_plots(s) for s in site.sensors]),
        zone_index={z.id: i for i, z in enumerate(site.zones)},
        zone_shapes=tuple(_zone_shape(z, origin) for z in site.zones),
        asset_enu_m=_rows([_enu(a.position, origin) for a in site.assets], 3),
        effector_enu_m=_rows([_enu(e.position, origin) for e in site.effectors], 3),
    )


def _ground(site: Site, origin: Origin) -> tuple[FloatArray, FloatArray]:
    """The constants of the place, and its ground on a grid in the site's frame, (0, 0) where it is flat."""
    env, terrain, relief = environment(origin), site.terrain, site.relief()
    if terrain is None or relief is None:
        return env, FLAT
    half = int(terrain.reach_m / terrain.spacing_m)
    steps = terrain.spacing_m * np.arange(-half, half + 1)
    east, north = np.meshgrid(steps, steps)
    up = -(east**2 + north**2) / (2.0 * origin.radius_m)
    lat, lon, _ = enu_to_geodetic(np.stack([east, north, up], axis=-1), origin)
    over_m = relief.at(np.degrees(lat), np.degrees(lon)) + terrain.geoid_m - origin.height_m
    ground = np.ascontiguousarray(np.nan_to_num(over_m))
    env[E_GRID_E] = env[E_GRID_N] = steps[0]
    env[E_GRID_STEP], env[E_GRID_TOP] = terrain.spacing_m, ground.max()
    return env, ground


def _air(site: Site, origin: Origin) -> FloatArray:
    """The air as far as the site tells of it, else standard and still."""
    from_rad = [np.radians(row.from_deg) for row in site.air.wind]
    wind = [
        (row.height_m, -row.speed_mps * np.sin(away), -row.speed_mps * np.cos(away))
        for row, away in zip(site.air.wind, from_rad, strict=True)
    ]
    density = [(row.height_m, row.kgpm3) for row in site.air.density]
    return air_table(origin.height_m, wind or None, density or None)


def origin_of(position: Position) -> Origin:
    """The frame that stands at a position given in degrees."""
    return Origin(float(np.radians(position.lat)), float(np.radians(position.lon)), position.height_m)


def _enu(position: Position, origin: Origin) -> FloatArray:
    return geodetic_to_enu(np.radians(position.lat), np.radians(position.lon), position.height_m, origin)


def _rows(rows: list[FloatArray], width: int) -> FloatArray:
    return np.array(rows, np.float64).reshape(len(rows), width)


def _reference(sensor: Sensor) -> FloatArray:
    return np.array([sensor.reference.range_m, 10.0 * math.log10(sensor.reference.rcs_m2)])


def _sigmas(sensor: Sensor) -> FloatArray:
    elevation, rate = sensor.elevation_sigma_mrad, sensor.range_rate_sigma_mps
    return np.array(
        [
            sensor.range_sigma_m,
            sensor.azimuth_sigma_mrad * 1e-3,
            np.nan if elevation is None else elevation * 1e-3,
            np.nan if rate is None else rate,
        ]
    )


def _coverage(sensor: Sensor) -> FloatArray:
    c = sensor.coverage
    width = (c.azimuth_to_deg - c.azimuth_from_deg) % 360.0 or 360.0
    low, high = np.radians([c.min_elevation_deg, c.max_elevation_deg])
    return np.array([c.min_range_m, c.max_range_m, np.radians(c.azimuth_from_deg), np.radians(width), low, high])


def _resolution(sensor: Sensor) -> FloatArray:
    cell = sensor.resolution
    return np.array([cell.range_m, np.radians(cell.azimuth_deg), np.radians(cell.elevation_deg)])


def _false_plots(sensor: Sensor) -> float:
    """False plots a scan; never none at all, or any plot would prove an object."""
    stated = sensor.false_plots_per_scan
    return np.nan if stated is None else max(stated, FEWEST_FALSE_PLOTS)


def _zone_shape(zone: Zone, origin: Origin) -> MultiPolygon:
    """The zone's polygons in metres; the earth's curvature bends none of them by more than its survey error."""

    def flat(lon_lat: FloatArray) -> FloatArray:
        enu = geodetic_to_enu(np.radians(lon_lat[:, 1]), np.radians(lon_lat[:, 0]), origin.height_m, origin)
        return enu[:, :2]

    degrees = MultiPolygon([Polygon(rings[0], rings[1:]) for rings in zone.rings])
    metres: MultiPolygon = transform(degrees, flat)
    return metres
