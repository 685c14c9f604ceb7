// The operator's picture. What warns (banner, countdown, sound) comes first and waits for nothing; boards follow four
// times a second, and the map, which may be slow to draw, is a guest that is told and never asked.
import { Feed, clock, mark as markPage, show } from "/static/feed.js";
import { Alarms } from "/static/alarms.js";
import { Sound } from "/static/sound.js";
import { Timeline } from "/static/timeline.js";
import { acts } from "/static/acts.js";
import { banner } from "/static/banner.js";
import * as boards from "/static/boards.js";
import { keyboard } from "/static/keyboard.js";
import { session } from "/static/session.js";
import * as words from "/static/words.js";

const { t, titled } = words;
const BOARDS_MS = 250;
const NOTE_LONG = 48; // letters of what is degraded; the rest is among the sensors
const byId = (id) => document.getElementById(id);
const alarms = new Alarms();
const sound = new Sound();
let map = null;
let guest = null; // its coming
let drawn = 0;
let lostSilenced = false;
const filter = { cls: "", impact: false };

const feed = new Feed(null, changed, {
  heard: alarms.heard,
  onword: (word) => { alarms.word(word); alarms.keep(); said(word); },
  onstate: (state) => { alarms.stands(state); byId("title").textContent = titled(state); },
});
const timeline = new Timeline(feed);
const mayAct = () => ["operator", "admin"].includes(session.seen?.role);

// ---- ten times a second, and at every word --------------------------------------------------------------------------

function changed() {
  const { state } = feed;
  document.body.classList.toggle("lost", feed.lost);
  show("lost", feed.lost ? t(state ? "lost" : "connecting") : "");
  show("stalled", !feed.lost && feed.stalled ? t("stalled") : "");
  banner(feed, alarms);
  hear();
  if (!state || performance.now() - drawn < BOARDS_MS) return;
  drawn = performance.now();
  draw();
}

function hear() {
  if (!feed.lost) lostSilenced = false;
  const kind = feed.state && (feed.lost || feed.stalled) && !lostSilenced ? "lost" : "";
  const wanted = alarms.sound || kind;
  sound.play(wanted, feed.state?.status !== "Actual");
  const lamp = byId("lamp");
  const on = sound.running;
  lamp.dataset.state = on ? "running" : "locked";
  lamp.dataset.playing = on ? sound.playing : "";
  lamp.setAttribute("aria-pressed", String(on));
  const text = on ? (sound.playing ? t(`sound-${sound.playing}`) : t("sound-on")) : t("sound-locked");
  if (lamp.textContent !== text) lamp.textContent = text;
  byId("silence").hidden = !wanted;
}

function draw() {
  const view = timeline.view();
  mark();
  drills();
  const age = feed.picture ? (feed.now - feed.picture.time_ms) / 1000 : null;
  const pill = byId("age");
  pill.textContent = age === null ? t("no-picture") : t("age-of", { s: age.toFixed(1) });
  pill.className = `pill ${age === null || age > 2 || feed.lost ? "bad" : "good"}`;
  const notes = feed.picture?.notes ?? [];
  const [first = ""] = notes;
  const more = notes.length > 1 ? ` +${notes.length - 1}` : "";
  show("degraded", first && `✕ ${first.length > NOTE_LONG ? `${first.slice(0, NOTE_LONG)} …` : first}${more}`);
  byId("degraded").title = notes.join("\n");
  byId("clock").textContent = `${clock(feed.now)} · ${new Date(feed.now).toISOString().slice(11, 19)}Z`;
  document.body.classList.toggle("past", view.past);
  byId("past-band").hidden = !view.past;
  if (view.past) byId("past-text").textContent = t("past", { at: boards.when(feed.now, view.now) });
  const danger = endangered(view.state);
  const counts = {
    zones: boards.zones(view, alarms, mayAct() && !view.past),
    tracks: boards.tracks(view, filter, danger).length,
    sirens: boards.sirens(view), sensors: boards.sensors(view),
  };
  for (const [name, count] of Object.entries(counts)) tab(name, count);
  classes(view.picture?.tracks ?? []);
  map?.draw(view, danger);
}

function endangered(state) { // track -> the zone that it endangers
  const found = new Map();
  for (const zone of state.zones) {
    if (zone.state !== "quiet") for (const track of zone.last.tracks) found.set(track, zone);
  }
  return found;
}

function tab(name, count) {
  const button = byId(`tab-${name}`);
  const text = `${t(name)}${count ? ` ${count}` : ""}`;
  if (button.textContent !== text) button.textContent = text;
  button.classList.toggle("fault", count > 0 && (name === "sirens" || name === "sensors"));
  button.classList.toggle("danger", count > 0 && name === "zones");
}

function classes(tracks) {
  const box = byId("filter-class");
  const all = ["", ...new Set([...tracks.map((one) => one.cls), filter.cls].filter(Boolean).sort())];
  const text = all.join(" ") + document.documentElement.lang;
  if (box.dataset.shown === text) return;
  box.dataset.shown = text;
  box.replaceChildren(...all.map((cls) => boards.element("option", { value: cls, textContent: cls ? boards.classOf(cls) : t("every-class") })));
  box.value = filter.cls;
}

// ---- what is no real warning says so, over everything ---------------------------------------------------------------

function mark() {
  const { status, provenance } = feed.state;
  const unreal = status !== "Actual";
  const text = unreal ? `${words.mark(status) || status.toUpperCase()} · ${t(`from-${provenance}`)}` : "";
  show("status", text);
  byId("mark").hidden = !unreal;
  document.title = `${unreal ? `${words.mark(status) || status} – ` : ""}${titled(feed.state)}`;
  let over = byId("watermark");
  if (!over) document.body.append(over = boards.element("div", { id: "watermark", "aria-hidden": "true" }));
  over.hidden = !unreal;
  const said = words.mark(status) || status.toUpperCase();
  if (!unreal || over.dataset.said === said) return;
  over.dataset.said = said;
  over.replaceChildren(...Array.from({ length: 12 }, () => boards.element("span", { textContent: said })));
}

function drills() {
  const lines = feed.state.drills.map((d) => {
    const names = feed.state.zones.filter((z) => d.zones.includes(z.id)).map(titled);
    const some = names.slice(0, 5).join(", ") + (names.length > 5 ? ` +${names.length - 5}` : "");
    const soon = d.phase === "notice";
    return t(soon ? "drill-soon" : "drill-now", { zones: some, s: boards.left(feed.now, soon ? d.starts_ms : d.ends_ms) });
  });
  const box = byId("drills");
  if (box.dataset.shown === lines.join("\n")) return;
  box.dataset.shown = lines.join("\n");
  box.replaceChildren(...lines.map((line) => boards.element("div", { textContent: line })));
}

function said(word) { // for who listens to the page
  if (word.type === "drill") { byId("murmur").textContent = t("drill-word"); return; }
  const zone = feed.state.zones.find((z) => z.id === word.zone);
  const name = zone ? titled(zone) : word.zone;
  const seconds = boards.left(feed.now, word.impact_ms);
  const loud = word.state === "alert" || word.state === "pre-alert";
  if (word.state === "update") return;
  byId(loud ? "say" : "murmur").textContent =
    [words.mark(word.status), t(`state-${word.state}`), name, boards.kindOf(word.kind), seconds ? t("left", { s: seconds }) : ""].filter(Boolean).join(", ");
}

// ---- what can be done -----------------------------------------------------------------------------------------------

function locate(zone) {
  if (map && document.body.dataset.view === "map") map.locate(zone);
  const row = document.querySelector(`#board-zones [data-id="${CSS.escape(zone)}"]`);
  open("zones");
  row?.scrollIntoView({ block: "nearest" });
  row?.classList.add("found");
  setTimeout(() => row?.classList.remove("found"), 2000);
}

function open(name) {
  for (const tab of document.querySelectorAll("#tabs [role=tab]")) tab.setAttribute("aria-selected", String(tab.id === `tab-${name}`));
  for (const board of document.querySelectorAll(".board")) board.classList.toggle("open", board.id === `board-${name}`);
}

function look(view) {
  document.body.dataset.view = view;
  localStorage.setItem("opencram.view", view);
  byId("view").textContent = t(view === "map" ? "as-list" : "as-map");
  map?.resize();
  if (view === "map") guest ??= invite();
}

async function invite() { // the map is loaded when it is looked at first
  const { openMap } = await import("/static/map.js");
  map = await openMap();
  map.resize();
}

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("opencram.theme", name);
  map?.theme(name);
}

const commands = {
  acknowledge: () => { const [first] = alarms.open; if (first) alarms.acknowledge(first.zone); changed(); },
  acknowledgeAll: () => { for (const alarm of alarms.open) alarms.acknowledge(alarm.zone); changed(); },
  silence: () => { alarms.silence(); lostSilenced = feed.lost || feed.stalled; hear(); },
  locate: () => { const [first] = alarms.list; if (first) locate(first.zone); },
  unlock: () => sound.unlock().then(hear),
  view: () => look(document.body.dataset.view === "map" ? "list" : "map"),
  theme: () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"),
  language: () => words.next(),
  board: (name) => { open(name); byId(`board-${name}`).querySelector("[tabindex]")?.focus(); },
  filter: () => { open("tracks"); byId("filter-class").focus(); },
  act: (kind) => mayAct() && doing.open(kind, document.activeElement?.closest?.("article[data-id]")?.dataset.id ?? alarms.list[0]?.zone),
  zoom: (by) => map?.zoom(by),
  home: () => map?.home(),
  measure: () => map?.measure(),
  layers: () => { byId("layers").open = !byId("layers").open; },
  timeline,
};
const doing = acts(feed, session);
keyboard(commands);

function clicks() {
  byId("alarms").addEventListener("click", (event) => {
    const zone = event.target.closest("[data-id]")?.dataset.id;
    const act = event.target.dataset?.act;
    if (act === "acknowledge") { alarms.acknowledge(zone); changed(); }
    if (act === "locate") locate(zone);
  });
  byId("board-zones").addEventListener("click", (event) => {
    const zone = event.target.closest("[data-id]")?.dataset.id;
    const act = event.target.dataset?.act;
    if (act === "own") alarms.choose(zone);
    else if (act) doing.open(act, zone);
    else if (zone) locate(zone);
    if (act) { drawn = 0; changed(); }
  });
  byId("boards").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.matches("[data-id]")) found(event.target);
  });
  for (const id of ["tracks", "sirens", "sensors"]) byId(id).addEventListener("click", (event) => found(event.target.closest("tr[data-id]")));
  for (const button of document.querySelectorAll("#tabs [role=tab]")) button.addEventListener("click", () => open(button.id.slice(4)));
  const on = { lamp: "unlock", silence: "silence", view: "view", theme: "theme", "zoom-in": "zoom", home: "home", measure: "measure" };
  for (const [id, command] of Object.entries(on)) byId(id).addEventListener("click", () => commands[command](1));
  byId("zoom-out").addEventListener("click", () => commands.zoom(-1));
  byId("degraded").addEventListener("click", () => commands.board("sensors"));
  byId("act-drill").addEventListener("click", () => doing.open("drill"));
  byId("act-test").addEventListener("click", () => doing.open("self-test"));
  byId("filter-class").addEventListener("change", (event) => { filter.cls = event.target.value; });
  byId("filter-impact").addEventListener("change", (event) => { filter.impact = event.target.checked; });
  byId("language").addEventListener("change", (event) => words.speak(event.target.value));
}

async function links() { // what there is to read about runs and studies
  const answer = await fetch("/api/reports").catch(() => null);
  const reports = answer?.ok ? await answer.json() : [];
  byId("reports").hidden = !reports.length;
  byId("report-list").replaceChildren(...reports.map((one) => boards.element("li", {},
    boards.element("a", { href: one.url, target: "_blank", rel: "noopener", textContent: one.name }),
    boards.element("span", { className: "dim", textContent: ` ${t(`kind-${one.kind}`)} · ${boards.when(feed.now, one.time_ms)}` }))));
}

function found(row) {
  if (!row) return;
  const kind = row.closest(".board").id.slice(6);
  if (kind === "zones") locate(row.dataset.id);
  else map?.find(kind, row.dataset.id);
}

for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, () => { if (!sound.running) commands.unlock(); });
addEventListener("language", () => {
  byId("language").value = words.language();
  look(document.body.dataset.view);
  if (feed.state) byId("title").textContent = titled(feed.state);
  map?.speak();
  drawn = 0;
  changed();
});
addEventListener("session", () => {
  document.body.classList.toggle("operator", mayAct());
  byId("sign-in-link").hidden = Boolean(session.seen?.name);
  drawn = 0;
});

// ---- begin ----------------------------------------------------------------------------------------------------------

byId("language").append(...Object.entries(words.LANGUAGES).map(([value, textContent]) => boards.element("option", { value, textContent })));
byId("reports").addEventListener("toggle", links);
theme(localStorage.getItem("opencram.theme") ?? "dark");
clicks();
document.body.dataset.view = new URLSearchParams(location.search).get("view") ?? localStorage.getItem("opencram.view") ?? "map";
await words.load();
look(document.body.dataset.view);
timeline.fromLink();
links();
