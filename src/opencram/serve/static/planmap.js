// The plan: the same picture drawn on a canvas, where there is no WebGL. North is up; drag, wheel and keys move it.
import { between, moved } from "/static/scene.js";
import { imageOf, stand, symbol } from "/static/symbols.js";
import { palette } from "/static/palette.js";

export class PlanMap {
  constructor(canvas, scene) {
    Object.assign(this, { kind: "plan", canvas, scene, shown: new Set(), seen: null, measuring: null, onpoint: () => {}, onmove: () => {} });
    canvas.hidden = false;
    this.colours = palette("dark");
    this.under = [];
    for (const one of scene.plan.maps) this.load(one);
    this.listen();
    this.home();
  }

  async load(one) { // a user's own base map: GeoJSON or an image; tiles take a graphics card
    if (one.kind === "image") {
      const image = new Image();
      image.src = one.url;
      image.onload = () => { this.under.push({ name: one.name, draw: () => this.spread(image, one.corners) }); this.paint(); };
    } else if (one.kind === "geojson") {
      const answer = await fetch(one.url);
      if (!answer.ok) return;
      const { features } = await answer.json();
      this.under.push({ name: one.name, draw: () => { for (const f of features ?? []) this.outline(f.geometry); } });
      this.paint();
    }
  }

  spread(image, corners) { // three corners say where an image lies
    const { pen } = this;
    const [[x0, y0], [x1, y1], , [x3, y3]] = corners.map(this.to);
    pen.save();
    pen.transform((x1 - x0) / image.width, (y1 - y0) / image.width, (x3 - x0) / image.height, (y3 - y0) / image.height, x0, y0);
    pen.globalAlpha = 0.8;
    pen.drawImage(image, 0, 0);
    pen.restore();
  }

  outline(geometry) {
    const { type, coordinates } = geometry ?? {};
    const lines = { LineString: (c) => [c], MultiLineString: (c) => c, Polygon: (c) => c, MultiPolygon: (c) => c.flat() }[type];
    for (const one of lines?.(coordinates) ?? []) this.path(one, this.colours.ring, 1);
  }

  get centre() { return this.middle; }
  get size() { return [this.canvas.clientWidth, this.canvas.clientHeight]; }

  home() {
    const box = this.scene.box;
    this.middle = [(box[0] + box[2]) / 2, (box[1] + box[3]) / 2];
    const wide = between([box[0], this.middle[1]], [box[2], this.middle[1]])[0];
    const high = between([this.middle[0], box[1]], [this.middle[0], box[3]])[0];
    const [width, height] = this.size;
    this.scale = Math.max(wide / Math.max(1, width - 80), high / Math.max(1, height - 80)) * 1.05; // metres a pixel
    this.paint();
  }

  listen() {
    let held = null;
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => { held = [event.offsetX, event.offsetY]; canvas.setPointerCapture(event.pointerId); this.onpoint(this.place(event), true); });
    canvas.addEventListener("pointermove", (event) => {
      this.onpoint(this.place(event), false);
      if (!held || this.measuring) return;
      this.shift(held[0] - event.offsetX, held[1] - event.offsetY);
      held = [event.offsetX, event.offsetY];
    });
    canvas.addEventListener("pointerup", () => { held = null; });
    canvas.addEventListener("wheel", (event) => { event.preventDefault(); this.zoom(-Math.sign(event.deltaY) / 2); }, { passive: false });
    canvas.addEventListener("keydown", (event) => {
      const way = { ArrowLeft: [-60, 0], ArrowRight: [60, 0], ArrowUp: [0, -60], ArrowDown: [0, 60] }[event.key];
      if (way) { event.preventDefault(); this.shift(...way); }
    });
  }

  place(event) {
    const [width, height] = this.size;
    return moved(this.middle[1], this.middle[0], (event.offsetX - width / 2) * this.scale, (height / 2 - event.offsetY) * this.scale);
  }

  shift(right, down) {
    this.middle = moved(this.middle[1], this.middle[0], right * this.scale, -down * this.scale);
    this.onmove();
    this.paint();
  }

  zoom(by) { this.scale = Math.min(200, Math.max(0.5, this.scale * 2 ** -by)); this.onmove(); this.paint(); }
  go(at) { this.middle = at; this.scale = Math.min(this.scale, 12); this.paint(); }
  show(shown) { this.shown = shown; this.paint(); }
  theme(name) { this.colours = palette(name); this.paint(); }
  line(ends) { this.measuring = ends; this.paint(); }
  resize() { this.paint(); }
  draw(seen) { this.seen = seen; this.paint(); }

  // ---- drawing ------------------------------------------------------------------------------------------------------

  paint() {
    const [width, height] = this.size;
    if (!this.seen || !width) return;
    const dense = devicePixelRatio || 1;
    if (this.canvas.width !== Math.round(width * dense)) this.canvas.width = Math.round(width * dense);
    if (this.canvas.height !== Math.round(height * dense)) this.canvas.height = Math.round(height * dense);
    const pen = this.pen = this.canvas.getContext("2d");
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.fillStyle = this.colours.ground;
    pen.fillRect(0, 0, width, height);
    const degree = between(this.middle, [this.middle[0] + 1, this.middle[1]])[0];
    const north = between(this.middle, [this.middle[0], this.middle[1] + 1])[0];
    this.to = ([lon, lat]) => [width / 2 + ((lon - this.middle[0]) * degree) / this.scale, height / 2 - ((lat - this.middle[1]) * north) / this.scale];
    this.layers();
  }

  layers() {
    const { seen, scene, shown, colours: c } = this;
    const on = (name) => shown.has(name);
    for (const one of this.under) if (on(`map:${one.name}`)) one.draw();
    for (const f of seen.zones.features) this.area(f, c.zone[f.properties.state], f.properties.state === "quiet" ? 1.2 : 2.5);
    if (on("audible")) for (const f of scene.still.audible.features) this.area(f, c.audible, 1);
    if (on("rings")) for (const f of scene.still.rings.features) this.path(f.geometry.coordinates, c.ring, 1, [2, 5]);
    if (on("coverage")) for (const f of scene.still.coverage.features) this.path(f.geometry.coordinates, c.coverage, 1.2, [8, 5]);
    if (on("launch")) for (const f of seen.launch.features) this.area(f, c.launch, 1.2, [5, 4]);
    if (on("impact")) for (const f of seen.impact.features) this.area(f, f.properties.dangerous ? c.impact : c.harmless, 1.6);
    for (const f of seen.sirens.features) this.image(f, stand("siren", f.properties.look), 0.42);
    for (const f of seen.sensors.features) this.image(f, stand("sensor", f.properties.look), 0.5);
    if (on("trails")) for (const f of seen.trails.features) this.path(f.geometry.coordinates, f.properties.dangerous ? c.danger : c.trail, 2);
    for (const f of seen.tracks.features) this.track(f);
    this.labels(on);
    if (this.measuring) this.path(this.measuring, c.strong, 2, [6, 4]);
  }

  labels(on) { // the weightiest first; what would stand on another is left out
    const { seen, scene, colours: c } = this;
    this.placed = [];
    const quiet = (f) => f.properties.state === "quiet";
    if (on("names")) for (const f of seen.names.features.filter((one) => !quiet(one))) this.text(f, c.strong, 14);
    if (on("impact")) for (const f of seen["impact-points"].features.filter((one) => one.properties.dangerous)) this.text(f, c.strong, 13);
    if (on("names")) for (const f of seen.names.features.filter(quiet)) this.text(f, c.name, 12);
    if (on("rings")) for (const f of scene.still["ring-labels"].features) this.text(f, c.dim, 11);
  }

  path(line, colour, width, dash = []) {
    const { pen } = this;
    pen.beginPath();
    line.forEach((at, i) => pen[i ? "lineTo" : "moveTo"](...this.to(at)));
    pen.strokeStyle = colour;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
  }

  area(f, { fill, line }, width, dash = []) {
    const { pen } = this;
    const polygons = f.geometry.type === "Polygon" ? [f.geometry.coordinates] : f.geometry.coordinates;
    pen.beginPath();
    for (const ring of polygons.flat()) ring.forEach((at, i) => pen[i ? "lineTo" : "moveTo"](...this.to(at)));
    pen.fillStyle = fill;
    pen.fill("evenodd");
    pen.strokeStyle = line;
    pen.lineWidth = width;
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
  }

  image(f, picture, scale) {
    const [x, y] = this.to(f.geometry.coordinates);
    const [w, h] = [picture.width * scale, picture.height * scale];
    this.pen.drawImage(picture, x - w / 2, y - h / 2, w, h);
  }

  track(f) {
    const { pen } = this;
    pen.globalAlpha = f.properties.stale ? 0.4 : 1;
    this.image(f, symbol(imageOf(f.properties.cls)), 0.5);
    pen.globalAlpha = 1;
  }

  text(f, colour, size) {
    const { pen } = this;
    const [x, y] = this.to(f.geometry.coordinates);
    pen.font = `${size > 12 ? 700 : 500} ${size}px system-ui, "Noto Sans", sans-serif`;
    pen.textAlign = "center";
    pen.lineWidth = 3;
    pen.strokeStyle = this.colours.halo;
    pen.fillStyle = colour;
    const lines = f.properties.text.split("\n");
    const half = Math.max(...lines.map((line) => pen.measureText(line).width)) / 2;
    const box = [x - half - 2, y - size, x + half + 2, y + lines.length * size * 1.2 - size + 6];
    if (this.placed.some(([x0, y0, x1, y1]) => box[0] < x1 && x0 < box[2] && box[1] < y1 && y0 < box[3])) return;
    this.placed.push(box);
    lines.forEach((line, i) => {
      pen.strokeText(line, x, y + 4 + i * size * 1.2);
      pen.fillText(line, x, y + 4 + i * size * 1.2);
    });
  }
}
