// The map by MapLibre GL: sources are the scene's collections, a layer or two for each. Text is drawn from the
// machine's own fonts, so nothing is fetched but the user's own base maps.
import * as gl from "/static/vendor/maplibre-gl.mjs";
import { collection } from "/static/scene.js";
import { CLASSES, LOOKS, imageOf, stand, symbol } from "/static/symbols.js";
import { palette } from "/static/palette.js";

const FONT = ["Noto Sans", "Noto Sans Arabic", "DejaVu Sans", "sans-serif"];
const SOURCES = ["zones", "audible", "rings", "ring-labels", "coverage", "launch", "impact", "sirens", "sensors", "trails", "names", "tracks", "impact-points", "measure"];

export class GlMap {
  static async open(box, scene) {
    box.hidden = false;
    const style = document.createElement("link");
    Object.assign(style, { rel: "stylesheet", href: "/static/vendor/maplibre-gl.css" });
    document.head.append(style);
    await basemapLibrary(scene.plan.maps);
    const made = new GlMap(box, scene);
    await new Promise((done, failed) => {
      made.map.once("load", () => { made.images(); done(); });
      setTimeout(() => failed(new Error("the map did not load within 20 s")), 20_000);
    });
    return made;
  }

  constructor(box, scene) {
    Object.assign(this, { kind: "gl", scene, seen: null, shown: new Set(), onpoint: () => {}, onmove: () => {} });
    this.name = document.documentElement.dataset.theme;
    this.map = new gl.Map({
      container: box, style: this.style(), bounds: this.scene.box, fitBoundsOptions: { padding: 50 },
      attributionControl: false, fadeDuration: 0, pitchWithRotate: false, dragRotate: false, maxPitch: 0,
    });
    this.map.addControl(new gl.AttributionControl({ compact: true }), "bottom-right");
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disableRotation();
    this.map.on("mousemove", (event) => this.onpoint(event.lngLat.toArray(), false));
    this.map.on("click", (event) => this.onpoint(event.lngLat.toArray(), true));
    this.map.on("move", () => this.onmove());
  }

  images() {
    for (const cls of CLASSES) this.image(`track ${cls}`, symbol(cls));
    for (const look of LOOKS) for (const kind of ["siren", "sensor"]) this.image(`${kind} ${look}`, stand(kind, look));
  }

  image(id, canvas) {
    const { width, height } = canvas;
    this.map.addImage(id, canvas.getContext("2d").getImageData(0, 0, width, height), { pixelRatio: 2 });
  }

  style() {
    const c = palette(this.name);
    const sources = Object.fromEntries(SOURCES.map((name) => [name, { type: "geojson", data: this.scene.still[name] ?? this.seen?.[name] ?? collection([]) }]));
    const maps = basemaps(this.scene.plan.maps, c);
    return {
      version: 8,
      sources: { ...sources, ...maps.sources },
      layers: [{ id: "ground", type: "background", paint: { "background-color": c.ground } }, ...maps.layers, ...layers(c)],
    };
  }

  draw(seen) {
    this.seen = seen;
    for (const f of seen.tracks.features) f.properties.image = `track ${imageOf(f.properties.cls)}`;
    for (const name of Object.keys(seen)) {
      const text = JSON.stringify(seen[name]);
      const source = this.map.getSource(name);
      if (!source || source.shownText === text) continue; // what has not changed is not drawn again
      source.shownText = text;
      source.setData(seen[name]);
    }
  }

  get centre() { return this.map.getCenter().toArray(); }
  home() { this.map.fitBounds(this.scene.box, { padding: 50, animate: false }); }
  zoom(by) { this.map.jumpTo({ zoom: this.map.getZoom() + by }); }
  go(at) { this.map.jumpTo({ center: at, zoom: Math.max(this.map.getZoom(), 13) }); }
  resize() { this.map.resize(); }
  line(ends) {
    const text = JSON.stringify(ends);
    if (text === this.lineText) return;
    this.lineText = text;
    this.map.getSource("measure")?.setData(collection(ends ? [{ type: "Feature", properties: {}, geometry: { type: "LineString", coordinates: ends } }] : []));
  }

  theme(name) {
    if (name !== this.name) {
      this.name = name;
      this.map.setStyle(this.style(), { diff: true });
    }
  }

  show(shown) {
    for (const layer of this.map.getStyle().layers) {
      const name = layer.metadata?.layer;
      if (name) this.map.setLayoutProperty(layer.id, "visibility", shown.has(name) ? "visible" : "none");
    }
  }
}

const by = (property, cases, other) => ["match", ["get", property], ...Object.entries(cases).flat(), other];
const dangerous = (yes, no) => ["case", ["get", "dangerous"], yes, no];

function area(id, source, { fill, line }, width, dash, layer) {
  const paint = { "line-color": line, "line-width": width, ...(dash ? { "line-dasharray": dash } : {}) };
  return [{ id, type: "fill", source, metadata: { layer }, paint: { "fill-color": fill } }, { id: `${id}-line`, type: "line", source, metadata: { layer }, paint }];
}

const line = (id, source, colour, width, dash) => ({ id, type: "line", source, metadata: { layer: id }, layout: { "line-cap": "round", "line-join": "round" },
  paint: { "line-color": colour, "line-width": width, ...(dash ? { "line-dasharray": dash } : {}) } });

function text(id, source, layer, size, colour, halo, more = {}) {
  return { id, type: "symbol", source, metadata: { layer }, layout: { "text-field": ["get", "text"], "text-font": FONT, "text-size": size, "text-padding": 2, ...more },
    paint: { "text-color": colour, "text-halo-color": halo, "text-halo-width": 1.6 } };
}

const icons = (id, source, image, size) => ({ id, type: "symbol", source,
  layout: { "icon-image": image, "icon-size": size, "icon-allow-overlap": true, "icon-ignore-placement": true } });

function layers(c) {
  const zone = (part) => by("state", { alert: c.zone.alert[part], "pre-alert": c.zone["pre-alert"][part] }, c.zone.quiet[part]);
  const impact = (part) => dangerous(c.impact[part], c.harmless[part]);
  const loud = ["!=", ["get", "state"], "quiet"];
  return [
    ...area("zones", "zones", { fill: zone("fill"), line: zone("line") }, ["case", loud, 2.5, 1.2]),
    ...area("audible", "audible", c.audible, 1, null, "audible"),
    line("rings", "rings", c.ring, 1, [2, 4]),
    text("ring-labels", "ring-labels", "rings", 11, c.dim, c.halo),
    line("coverage", "coverage", c.coverage, 1.2, [6, 4]),
    ...area("launch", "launch", c.launch, 1.2, [4, 3], "launch"),
    ...area("impact", "impact", { fill: impact("fill"), line: impact("line") }, 1.6, null, "impact"),
    icons("sirens", "sirens", ["concat", "siren ", ["get", "look"]], 1),
    icons("sensors", "sensors", ["concat", "sensor ", ["get", "look"]], 1),
    line("trails", "trails", dangerous(c.danger, c.trail), 2),
    text("names", "names", "names", ["case", loud, 15, 12], ["case", loud, c.strong, c.name], c.halo, { "symbol-sort-key": ["case", loud, 0, 1] }),
    { ...icons("tracks", "tracks", ["get", "image"], 0.85), paint: { "icon-opacity": ["case", ["get", "stale"], 0.4, 1] } },
    { ...text("impact-points", "impact-points", "impact", 14, c.strong, c.halo), filter: ["get", "dangerous"] },
    line("measure", "measure", c.strong, 2, [3, 2]),
  ].map((layer) => (layer.id === "measure" || !layer.metadata?.layer ? { ...layer, metadata: {} } : layer));
}

// ---- base maps: the user's own, under everything --------------------------------------------------------------------

async function basemapLibrary(maps) {
  if (!maps.some((one) => one.kind === "pmtiles")) return;
  await new Promise((done) => {
    const script = document.createElement("script");
    Object.assign(script, { src: "/static/vendor/pmtiles.js", onload: done, onerror: done });
    document.head.append(script);
  });
  const protocol = new globalThis.pmtiles.Protocol();
  gl.addProtocol("pmtiles", protocol.tile);
  for (const one of maps.filter((map) => map.kind === "pmtiles")) {
    const file = new globalThis.pmtiles.PMTiles(location.origin + one.url);
    protocol.add(file);
    const header = await file.getHeader();
    const metadata = await file.getMetadata();
    Object.assign(one, { raster: header.tileType !== 1, layers: (metadata.vector_layers ?? []).map((layer) => layer.id) });
  }
}

function basemaps(maps, c) {
  const sources = {};
  const found = [];
  const drawn = (id, source, layer, name) => {
    const at = layer ? { "source-layer": layer } : {};
    const metadata = { layer: `map:${name}` };
    found.push({ id: `${id}-fill`, type: "fill", source, ...at, metadata, filter: ["==", ["geometry-type"], "Polygon"], paint: { "fill-color": c.ring, "fill-opacity": 0.35 } });
    found.push({ id: `${id}-line`, type: "line", source, ...at, metadata, filter: ["!=", ["geometry-type"], "Point"], paint: { "line-color": c.dim, "line-width": 1, "line-opacity": 0.6 } });
  };
  maps.forEach((one, i) => {
    const id = `basemap-${i}`;
    const url = location.origin + one.url;
    const { attribution } = one;
    if (one.kind === "image") sources[id] = { type: "image", url, coordinates: one.corners };
    else if (one.kind === "geojson") sources[id] = { type: "geojson", data: url, attribution };
    else sources[id] = { type: one.raster ? "raster" : "vector", url: `pmtiles://${url}`, attribution };
    if (one.kind === "image" || one.raster) found.push({ id, type: "raster", source: id, metadata: { layer: `map:${one.name}` }, paint: { "raster-opacity": 0.8 } });
    else if (one.kind === "geojson") drawn(id, id, null, one.name);
    else one.layers.forEach((layer) => drawn(`${id}-${layer}`, id, layer, one.name));
  });
  return { sources, layers: found };
}
