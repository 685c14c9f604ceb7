// The map's place on the page: MapLibre where the browser has WebGL, else a plan drawn by hand; its tools and legend.
import { LAYERS, Scene, between } from "/static/scene.js";
import { loadMilsymbol } from "/static/symbols.js";
import { t } from "/static/words.js";
import { element } from "/static/boards.js";

const DRAW_MS = 220; // five frames a second at most
const KEPT = "opencram.layers";
const SOFTWARE = /swiftshader|llvmpipe|softpipe|software|basic render/i;
const byId = (id) => document.getElementById(id);

export async function openMap() {
  const [plan] = await Promise.all([site(), loadMilsymbol()]);
  const scene = new Scene(plan);
  const wanted = new URLSearchParams(location.search).get("map");
  let surface = null;
  if (wanted === "gl" || (wanted !== "plan" && hasGraphics())) {
    try {
      const { GlMap } = await import("/static/glmap.js");
      surface = await GlMap.open(byId("map"), scene);
    } catch (error) { console.error(error); byId("map").hidden = true; }
  }
  if (!surface) {
    const { PlanMap } = await import("/static/planmap.js");
    surface = new PlanMap(byId("plan"), scene);
    byId("map-note").hidden = wanted === "plan";
  }
  return new MapPane(surface, scene);
}

function hasGraphics() { // WebGL by the processor alone would take it from whatever else runs here: from the service, on one machine
  const gl = document.createElement("canvas").getContext("webgl2");
  if (!gl) return false;
  const about = gl.getExtension("WEBGL_debug_renderer_info");
  return !SOFTWARE.test(about ? gl.getParameter(about.UNMASKED_RENDERER_WEBGL) : "");
}

async function site() {
  for (;;) {
    try {
      const answer = await fetch("/api/site");
      if (answer.ok) return await answer.json();
    } catch { /* the feed says that the service is gone */ }
    await new Promise((done) => setTimeout(done, 2000));
  }
}

class MapPane {
  constructor(surface, scene) {
    Object.assign(this, { surface, scene, drawn: 0, start: null, pointer: null });
    document.documentElement.dataset.map = surface.kind;
    const kept = JSON.parse(localStorage.getItem(KEPT) ?? "null");
    this.shown = new Set(kept ?? LAYERS.filter((name) => name !== "audible"));
    for (const one of scene.plan.maps) if (!kept) this.shown.add(`map:${one.name}`);
    surface.onpoint = (at, pressed) => this.point(at, pressed);
    surface.onmove = () => this.measured();
    this.speak();
    this.theme(document.documentElement.dataset.theme);
  }

  draw(view, danger) { // told four times a second; what is not shown is not drawn
    if (document.body.dataset.view !== "map" || document.hidden) return;
    if (performance.now() - this.drawn < DRAW_MS) return;
    this.drawn = performance.now();
    this.surface.draw(this.scene.at(view, danger), view);
  }

  speak() {
    byId("map-note").textContent = t("no-webgl");
    const maps = this.scene.plan.maps.filter((one) => this.surface.kind === "gl" || one.kind !== "pmtiles").map((one) => `map:${one.name}`);
    byId("layer-list").replaceChildren(...[...LAYERS, ...maps].map((name) => {
      const box = element("input", { type: "checkbox", checked: this.shown.has(name) });
      box.addEventListener("change", () => this.toggle(name, box.checked));
      return element("label", {}, box, name.startsWith("map:") ? name.slice(4) : t(`layer-${name}`));
    }));
    const item = (mark, key, cls = "") => element("span", { className: cls }, element("b", { textContent: mark, "aria-hidden": "true" }), t(key));
    byId("legend").replaceChildren(item("▲", "state-alert", "alert"), item("◆", "state-pre-alert", "pre-alert"),
      item("△", "siren"), item("□", "sensor"), item("⬭", "layer-impact", "impact"), item("⬭", "layer-launch", "launch"), item("✕", "debris", "launch"));
  }

  toggle(name, on) {
    this.shown[on ? "add" : "delete"](name);
    localStorage.setItem(KEPT, JSON.stringify([...this.shown]));
    this.surface.show(this.shown);
  }

  theme(name) { this.surface.theme(name); this.surface.show(this.shown); }
  resize() { this.surface.resize(); this.drawn = 0; }
  zoom(by) { this.surface.zoom(by); }
  home() { this.surface.home(); }

  locate(id) {
    const zone = this.scene.zones.get(id);
    if (zone) this.surface.go(zone.middle);
  }

  find(kind, id) {
    const { plan, trails } = this.scene;
    if (kind === "tracks") { const at = trails.get(Number(id))?.at(-1).at; if (at) this.surface.go(at); return; }
    const one = plan[kind]?.find((thing) => thing.id === id);
    if (one) this.surface.go([one.lon, one.lat]);
  }

  // ---- distance and bearing: from where it begins (the middle, or a press) to the pointer, or to the middle ----------

  measure() {
    this.start = this.start ? null : this.surface.centre;
    this.pointer = null;
    byId("measure").setAttribute("aria-pressed", String(Boolean(this.start)));
    this.measured();
  }

  point(at, pressed) {
    if (!this.start) return;
    if (pressed) this.start = at;
    this.pointer = at;
    this.measured();
  }

  measured() {
    const out = byId("measured");
    out.hidden = !this.start;
    if (!this.start) { this.surface.line(null); return; }
    const end = this.pointer ?? this.surface.centre;
    const [metres, bearing] = between(this.start, end);
    out.textContent = `${metres < 10_000 ? `${Math.round(metres)} m` : `${(metres / 1000).toFixed(1)} km`} · ${String(Math.round(bearing) % 360).padStart(3, "0")}°`;
    this.surface.line([this.start, end]);
  }
}
