import { Feed, clock, day, mark, seconds, show } from "/static/feed.js";

const RANK = { "alert": 0, "pre-alert": 1, "quiet": 2 };
const FINE = ["ok", "sounding"];
const ago = (feed, ms) => ms ? `${seconds(feed.now - ms)} s ago` : "never";

function rows(id, items, none) { // each item: [class, cells]
  const body = document.querySelector(`#${id} tbody`);
  const wanted = items.length ? items : [["", ["", none]]];
  const text = JSON.stringify(wanted);
  if (body.dataset.shown === text) return;
  body.dataset.shown = text;
  body.replaceChildren(...wanted.map(([kind, cells]) => {
    const row = document.createElement("tr");
    row.className = kind;
    cells.forEach((cell, i) => {
      const td = row.insertCell();
      if (i === 0) td.className = items.length ? "state" : "";
      if (cell?.href) {
        const link = document.createElement("a");
        link.href = cell.href;
        link.textContent = cell.text;
        td.append(link);
      } else td.textContent = cell ?? "";
    });
    return row;
  }));
}

function impact(feed, zone) {
  const at = zone.state === "quiet" ? null : zone.last?.impact_ms;
  return at ? (at > feed.now ? `${seconds(at - feed.now)} s` : "now") : "";
}

function zoneRow(feed, zone) {
  const name = { href: `/zone/${encodeURIComponent(zone.id)}`, text: zone.name };
  const since = zone.last ? clock(zone.last.time_ms) : "";
  const word = zone.state === "quiet" && zone.last ? zone.last.state : zone.state;
  return [zone.state, [word, name, impact(feed, zone), since, zone.last?.reason]];
}

function names(zones) {
  const more = zones.length > 6 ? ` and ${zones.length - 6} more` : "";
  return zones.slice(0, 6).map((z) => z.name).join(", ") + more;
}

function banner(feed, zones) {
  const level = ["alert", "pre-alert"].find((l) => zones.some((z) => z.state === l));
  const element = document.getElementById("banner");
  element.className = level ?? "";
  const told = zones.filter((z) => z.state === level);
  const next = Math.min(...told.map((z) => z.last?.impact_ms ?? Infinity).filter((t) => t > feed.now));
  const when = Number.isFinite(next) ? ` – first impact in ${seconds(next - feed.now)} s` : "";
  show("banner", level ? `${level.toUpperCase()}: ${names(told)}${when}` : "");
}

function drills(feed) {
  const lines = feed.state.drills.map((d) => {
    const left = d.phase === "notice" ? `sounds in ${seconds(d.starts_ms - feed.now)} s` : `ends in ${seconds(d.ends_ms - feed.now)} s`;
    return `DRILL, an exercise: ${names(feed.state.zones.filter((z) => d.zones.includes(z.id)))}, ${left}`;
  });
  const box = document.getElementById("drills");
  if (box.dataset.shown === lines.join("\n")) return;
  box.dataset.shown = lines.join("\n");
  box.replaceChildren(...lines.map((line) => Object.assign(document.createElement("div"), { textContent: line })));
}

function draw(feed) {
  const { state, picture } = feed;
  document.body.classList.toggle("lost", feed.lost);
  show("lost", feed.lost ? (state ? "CONNECTION LOST – what is shown may be old; listen for the sirens" : "Connecting …") : "");
  show("stalled", !feed.lost && feed.stalled ? "THE PIPELINE IS STALLED – no radar data is worked on; silence is no safety" : "");
  mark(feed);
  if (!state) return;
  document.title = `${state.title} – opencram`;
  show("title", state.title);
  const zones = [...state.zones].sort((a, b) => RANK[a.state] - RANK[b.state]);
  banner(feed, zones);
  drills(feed);
  rows("zones", zones.map((z) => zoneRow(feed, z)), "no zones");
  if (!picture) return;
  show("age", `picture ${((feed.now - picture.time_ms) / 1000).toFixed(1)} s old, ${picture.tracks.length} tracks`);
  rows("sirens", picture.sirens.map((s) => [FINE.includes(s.state) ? "" : "fault",
    [s.state, s.id, ago(feed, s.beat_ms), s.tested_ms ? day(s.tested_ms) : "never", s.detail]]), "no sirens");
  rows("sensors", picture.sensors.map((s) => [FINE.includes(s.state) ? "" : "fault",
    [s.state, s.id, ago(feed, s.plot_ms), s.detail]]), "no sensors");
  show("notes", picture.notes.join(" · "));
}

new Feed(null, draw);
