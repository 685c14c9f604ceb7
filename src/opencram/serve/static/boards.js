// The boards: zones, tracks, sirens, sensors. Each row says how old it is; what is stale is grey.
import { clock, day, seconds } from "/static/feed.js";
import { t, titled } from "/static/words.js";

const RANK = { "alert": 0, "pre-alert": 1, "quiet": 2 };
export const SHAPE = { "alert": "▲", "pre-alert": "◆", "quiet": "○" };
const FINE = ["ok", "sounding"];
const STALE_MS = { track: 2500, siren: 30_000, sensor: 10_000 };
const byId = (id) => document.getElementById(id);

export function element(tag, given = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name in made && name !== "list") made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...inside.filter((part) => part !== null && part !== undefined));
  return made;
}

function fresh(box, key, make) { // drawn again only where something has changed: focus and reading stay where they are
  const text = JSON.stringify(key);
  if (box.dataset.shown === text) return;
  const focused = document.activeElement?.closest?.("[data-id]")?.dataset.id;
  const act = document.activeElement?.dataset?.act;
  box.dataset.shown = text;
  box.replaceChildren(...make());
  const again = focused && box.querySelector(`[data-id="${CSS.escape(focused)}"]`);
  if (again) (act ? again.querySelector(`[data-act="${act}"]`) ?? again : again).focus({ preventScroll: true });
}

const ago = (now, ms) => (ms ? t("ago", { s: span(now - ms) }) : t("never"));

export function span(ms) { // 7 s, 3 min, 2 h
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 100) return `${s} s`;
  return s < 6000 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

export const kindOf = (kind) => t(`kind-${kind}`);
export const classOf = (cls) => (cls === "unknown" ? t("class-unknown") : t(`class-${cls}`));

const NOW_MS = 10_000; // so long an impact is told as now

export function left(now, impact_ms) { // seconds to an impact; 0: now; null: not known, or long past
  return impact_ms && impact_ms > now - NOW_MS ? seconds(impact_ms - now) : null;
}

// ---- zones ----------------------------------------------------------------------------------------------------------

export function zones(view, alarms, mayAct) {
  const { state, now } = view;
  const sorted = [...state.zones].sort((a, b) => RANK[a.state] - RANK[b.state] || alarms.isOwn(b.id) - alarms.isOwn(a.id));
  const rows = sorted.map((zone) => ({
    id: zone.id, name: titled(zone), state: zone.state, own: alarms.own.has(zone.id), act: mayAct,
    left: zone.state === "quiet" ? null : left(now, zone.last?.impact_ms),
    people: zone.people, shelter: zone.time_to_shelter_s, kind: zone.state === "quiet" ? "" : zone.last.kind,
    since: zone.last ? `${t(`state-${zone.last.state}`)} ${when(now, zone.last.time_ms)}` : t("never-warned"),
    reason: zone.last?.reason ?? "",
  }));
  fresh(byId("board-zones").querySelector(".rows"), [rows, document.documentElement.lang], () => rows.map(zoneRow));
  return rows.filter((row) => row.state !== "quiet").length;
}

export function when(now, ms) {
  return day(ms) === day(now) ? clock(ms) : `${day(ms)} ${clock(ms)}`;
}

function zoneRow(row) {
  const count = row.left === null ? "" : row.left ? `${row.left}` : t("now");
  const button = (act, text) => element("button", { type: "button", className: `small ${act}`, "data-act": act, textContent: text });
  return element("article", { className: `zone ${row.state}`, tabIndex: 0, "data-id": row.id, title: row.reason },
    element("span", { className: "shape", textContent: SHAPE[row.state], "aria-hidden": "true" }),
    element("div", { className: "what" },
      element("strong", { textContent: row.name }),
      element("span", { className: "dim", textContent: [t(`state-${row.state}`), row.kind && kindOf(row.kind),
        t("people", { n: row.people.toLocaleString("en").replace(/,/g, "\u202f") }), row.state === "quiet" ? row.since : ""].filter(Boolean).join(" · ") })),
    element("span", { className: row.left ? "left" : "left word", dir: "ltr", textContent: count, "aria-label": count && t("left", { s: count }) }),
    element("span", { className: "acts" },
      element("button", { type: "button", className: `small own ${row.own ? "yes" : ""}`, "data-act": "own", textContent: row.own ? "★" : "☆",
        "aria-pressed": String(row.own), title: t("own-long"), "aria-label": `${t("own")}: ${row.name}` }),
      row.act && row.state !== "alert" ? button("alarm", t("alarm-button")) : null,
      row.act && row.state !== "quiet" ? button("all-clear", t("clear-button")) : null));
}

// ---- tables ---------------------------------------------------------------------------------------------------------

function table(id, heads, rows, none) {
  fresh(byId(id).tHead, heads.map((head) => t(head)), () => [element("tr", {}, ...heads.map((head) => element("th", { textContent: t(head), scope: "col" })))]);
  const body = byId(id).tBodies[0];
  const there = new Map([...body.rows].map((made) => [made.dataset.id, made]));
  const wanted = rows.length ? rows : [{ id: "", className: "none", cells: [t(none)] }];
  wanted.forEach((one, i) => { // a row that is there is kept, and only what has changed in it is written
    const made = there.get(String(one.id)) ?? element("tr", { "data-id": one.id, tabIndex: one.id === "" ? -1 : 0 });
    there.delete(String(one.id));
    if (made.className !== one.className) made.className = one.className;
    one.cells.forEach((cell, k) => {
      const box = made.cells[k] ?? made.appendChild(element("td", { className: k === 0 ? "state" : "", dir: "auto" }));
      if (box.textContent !== (cell ?? "")) box.textContent = cell ?? "";
    });
    if (body.rows[i] !== made) body.insertBefore(made, body.rows[i] ?? null);
  });
  for (const gone of there.values()) gone.remove();
}

export function tracks(view, filter, danger) {
  const seen = view.picture?.tracks ?? [];
  const shown = seen.filter((one) => (!filter.cls || one.cls === filter.cls) && (!filter.impact || one.impact_ms));
  shown.sort((a, b) => (a.impact_ms ?? Infinity) - (b.impact_ms ?? Infinity) || a.track - b.track);
  const rows = shown.slice(0, 200).map((one) => {
    const old = view.now - (one.seen_ms ?? view.now);
    const speed = Math.hypot(one.east_mps, one.north_mps, one.up_mps);
    const zone = danger.get(one.track);
    return { id: one.track, className: [old > STALE_MS.track ? "stale" : "", zone ? "danger" : ""].join(" ").trim(),
      cells: [`${one.track}`, one.debris ? t("debris") : classOf(one.cls), one.impact_ms ? t("seconds", { s: left(view.now, one.impact_ms) ?? 0 }) : "–",
        zone ? titled(zone) : "", `${Math.round(one.height_m / 10) * 10} m`, `${Math.round(speed)} m/s`, `${(Math.max(0, old) / 1000).toFixed(1)} s`] };
  });
  table("tracks", ["track", "class", "impact-in", "endangers", "height", "speed", "age"], rows, seen.length ? "none-shown" : "no-tracks");
  return seen;
}

function zoneOf(view, command) { // of the command for which a siren sounds: ZONE/SIREN/...
  const zone = view.state.zones.find((z) => z.id === command.split("/")[0]);
  return zone ? titled(zone) : command;
}

export function sirens(view) {
  const seen = view.picture?.sirens ?? [];
  const rank = (s) => (s.state === "sounding" ? 0 : FINE.includes(s.state) ? 2 : 1);
  const rows = [...seen].sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1)).map((s) => ({
    id: s.id, className: s.state === "sounding" ? "sounding" : FINE.includes(s.state) ? (view.now - s.beat_ms > STALE_MS.siren ? "stale" : "") : "fault",
    cells: [t(`siren-${s.state}`), s.id, ago(view.now, s.beat_ms), s.tested_ms ? `${day(s.tested_ms)} ${clock(s.tested_ms)}` : t("never"), s.state === "sounding" ? zoneOf(view, s.detail) : s.detail],
  }));
  table("sirens", ["state", "siren", "heard", "tested", "detail"], rows, "no-sirens");
  return seen.filter((s) => !FINE.includes(s.state)).length;
}

export function sensors(view) {
  const seen = view.picture?.sensors ?? [];
  const rows = seen.map((s) => ({
    id: s.id, className: FINE.includes(s.state) ? (view.now - s.plot_ms > STALE_MS.sensor ? "stale" : "") : "fault",
    cells: [t(s.state === "ok" ? "fine" : s.state === "never" ? "never" : "fault"), s.id, ago(view.now, s.plot_ms), s.state === "ok" ? s.detail : `${s.state} ${s.detail}`],
  }));
  table("sensors", ["state", "sensor", "last-plot", "detail"], rows, "no-sensors");
  byId("notes").textContent = view.picture?.notes.join(" · ") ?? "";
  return seen.filter((s) => !FINE.includes(s.state)).length;
}
