// What a map or a plan shows, as GeoJSON: all that is computed of shapes is here, so that both show the same.
import { left } from "/static/boards.js";
import { t, titled } from "/static/words.js";

export const RINGS_KM = [1, 2, 5, 10, 15, 20, 30];
export const LAYERS = ["coverage", "audible", "rings", "trails", "launch", "impact", "names"];
const TRAIL_MS = 60_000;
const TRAIL_EVERY_MS = 300;
const STEPS = 64;
const FINE = ["ok", "sounding"];

function metres(lat) { // a degree's length north and east at this latitude (WGS 84)
  const f = (lat * Math.PI) / 180;
  return [111132.92 - 559.82 * Math.cos(2 * f) + 1.175 * Math.cos(4 * f), 111412.84 * Math.cos(f) - 93.5 * Math.cos(3 * f)];
}

export function moved(lat, lon, east_m, north_m) {
  const [north, east] = metres(lat);
  return [lon + east_m / east, lat + north_m / north];
}

export function between([lon0, lat0], [lon1, lat1]) { // metres, and degrees clockwise from north
  const [north, east] = metres((lat0 + lat1) / 2);
  const [e, n] = [(lon1 - lon0) * east, (lat1 - lat0) * north];
  return [Math.hypot(e, n), ((Math.atan2(e, n) * 180) / Math.PI + 360) % 360];
}

function arc(lat, lon, radius_m, from_deg, to_deg) {
  const n = Math.max(2, Math.ceil((STEPS * (to_deg - from_deg)) / 360));
  return Array.from({ length: n + 1 }, (_, i) => {
    const a = ((from_deg + ((to_deg - from_deg) * i) / n) * Math.PI) / 180;
    return moved(lat, lon, radius_m * Math.sin(a), radius_m * Math.cos(a));
  });
}

export function ellipse(lat, lon, major_m, minor_m, axis_deg) {
  const axis = (axis_deg * Math.PI) / 180;
  return Array.from({ length: STEPS + 1 }, (_, i) => {
    const a = (2 * Math.PI * i) / STEPS;
    const [along, across] = [major_m * Math.cos(a), minor_m * Math.sin(a)];
    return moved(lat, lon, along * Math.sin(axis) + across * Math.cos(axis), along * Math.cos(axis) - across * Math.sin(axis));
  });
}

const feature = (type, coordinates, properties = {}) => ({ type: "Feature", geometry: { type, coordinates }, properties });
export const collection = (features) => ({ type: "FeatureCollection", features });

function sector(sensor) {
  let to = sensor.azimuth_to_deg;
  if (to <= sensor.azimuth_from_deg) to += 360;
  const line = arc(sensor.lat, sensor.lon, sensor.max_range_m, sensor.azimuth_from_deg, to);
  return to - sensor.azimuth_from_deg >= 360 ? line : [[sensor.lon, sensor.lat], ...line, [sensor.lon, sensor.lat]];
}

function middle(rings) { // of the largest polygon's corners: where its name stands
  const corners = rings.map((polygon) => polygon[0]).sort((a, b) => b.length - a.length)[0];
  const box = bounds([corners]);
  return [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
}

export function bounds(lines) {
  const all = lines.flat();
  const [x, y] = [all.map((p) => p[0]), all.map((p) => p[1])];
  return [Math.min(...x), Math.min(...y), Math.max(...x), Math.max(...y)];
}

export class Scene {
  constructor(plan) {
    this.plan = plan;
    this.zones = new Map(plan.zones.filter((zone) => zone.rings.length).map((zone) => [zone.id, { ...zone, middle: middle(zone.rings) }]));
    this.trails = new Map();
    this.time = 0;
    const { lat, lon } = plan;
    const rings = RINGS_KM.map((km) => feature("LineString", arc(lat, lon, km * 1000, 0, 360), { km }));
    const labels = RINGS_KM.map((km) => feature("Point", moved(lat, lon, 0, km * 1000), { text: `${km} km` }));
    this.still = {
      rings: collection(rings),
      "ring-labels": collection(labels),
      coverage: collection(plan.sensors.filter((s) => s.max_range_m).map((s) => feature("LineString", sector(s), { id: s.id }))),
      audible: collection(plan.sirens.map((s) => feature("Polygon", [arc(s.lat, s.lon, s.audible_m, 0, 360)], { id: s.id }))),
    };
  }

  get box() {
    const outlines = this.plan.zones.flatMap((zone) => zone.rings.map((polygon) => polygon[0]));
    return bounds(outlines.length ? outlines : [arc(this.plan.lat, this.plan.lon, 5000, 0, 360)]);
  }

  remember(picture) { // where each track has been
    if (picture.time_ms < this.time || picture.time_ms > this.time + 5000) this.trails.clear();
    this.time = picture.time_ms;
    for (const one of picture.tracks) {
      const trail = this.trails.get(one.track) ?? [];
      if (!trail.length || picture.time_ms - trail.at(-1).ms > TRAIL_EVERY_MS) trail.push({ ms: picture.time_ms, at: [one.lon, one.lat] });
      while (trail[0].ms < picture.time_ms - TRAIL_MS) trail.shift();
      this.trails.set(one.track, trail);
    }
    const here = new Set(picture.tracks.map((one) => one.track));
    for (const [track, trail] of this.trails) if (!here.has(track) && trail.at(-1).ms < picture.time_ms - 10_000) this.trails.delete(track);
  }

  at(view, danger) {
    const picture = view.picture ?? { tracks: [], sirens: [], sensors: [], time_ms: view.now };
    if (view.earlier && Math.abs(picture.time_ms - this.time) > 5000) for (const one of view.earlier) this.remember(one);
    this.remember(picture);
    return { ...this.zoned(view), ...this.flown(picture, view, danger), ...this.stood(picture) };
  }

  zoned(view) {
    const zones = [];
    const names = [];
    for (const zone of view.state.zones) {
      const known = this.zones.get(zone.id);
      if (!known) continue;
      zones.push(feature("MultiPolygon", known.rings, { id: zone.id, state: zone.state }));
      const seconds = zone.state === "quiet" ? null : left(view.now, zone.last?.impact_ms);
      names.push(feature("Point", known.middle, { text: titled(zone) + (seconds === null ? "" : `\n${t("seconds", { s: seconds })}`), state: zone.state }));
    }
    return { zones: collection(zones), names: collection(names) };
  }

  flown(picture, view, danger) {
    const found = { tracks: [], trails: [], impact: [], launch: [], "impact-points": [] };
    for (const one of picture.tracks) {
      const dangerous = danger.has(one.track);
      const stale = one.seen_ms !== null && view.now - one.seen_ms > 2500;
      const heading = ((Math.atan2(one.east_mps, one.north_mps) * 180) / Math.PI + 360) % 360;
      found.tracks.push(feature("Point", [one.lon, one.lat], { track: one.track, cls: one.debris ? "debris" : one.cls, heading, stale, dangerous }));
      const trail = this.trails.get(one.track) ?? [];
      if (trail.length > 1) found.trails.push(feature("LineString", [...trail.map((p) => p.at), [one.lon, one.lat]], { dangerous }));
      if (one.impact_ms && one.major_m) {
        found.impact.push(feature("Polygon", [ellipse(one.impact_lat, one.impact_lon, one.major_m, one.minor_m, one.axis_deg)], { dangerous }));
        if (!one.debris) found["impact-points"].push(feature("Point", [one.impact_lon, one.impact_lat], { text: t("seconds", { s: left(view.now, one.impact_ms) ?? 0 }), dangerous }));
      }
      if (one.launch_major_m && one.launch_major_m < 20_000) {
        found.launch.push(feature("Polygon", [ellipse(one.launch_lat, one.launch_lon, one.launch_major_m, one.launch_minor_m, one.launch_axis_deg)]));
      }
    }
    return Object.fromEntries(Object.entries(found).map(([name, features]) => [name, collection(features)]));
  }

  stood(picture) {
    const health = new Map([...picture.sirens, ...picture.sensors].map((one) => [one.id, one.state]));
    const look = (id) => { const state = health.get(id); return !state ? "unknown" : state === "sounding" ? "sounding" : FINE.includes(state) ? "ok" : "fault"; };
    const of = (all) => collection(all.map((one) => feature("Point", [one.lon, one.lat], { id: one.id, look: look(one.id) })));
    return { sirens: of(this.plan.sirens), sensors: of(this.plan.sensors) };
  }
}
