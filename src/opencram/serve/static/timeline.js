// The last hours: minutes of the feed as they were told, played again. The alarm and its sound stay those of now.
import { clock, told } from "/static/feed.js";
import { t } from "/static/words.js";
import { element, when } from "/static/boards.js";

const LOOK_MS = 20_000;
const MINUTE_MS = 60_000;
const KEPT_MINUTES = 12;
const MARKED = ["alert", "pre-alert"];
const byId = (id) => document.getElementById(id);

export class Timeline {
  constructor(feed) {
    this.feed = feed;
    this.at = null; // the moment that is shown; null: now
    this.running = false;
    this.words = [];
    this.minutes = [];
    this.kept = new Map(); // start -> lines
    this.asked = new Set();
    this.last = performance.now();
    this.listen();
    this.look();
    setInterval(() => this.look(), LOOK_MS);
    setInterval(() => this.tick(), 200);
  }

  listen() {
    const on = { before: () => this.jump(-1), after: () => this.jump(1), play: () => this.toggle(), live: () => this.live(), "past-live": () => this.live(), share: () => this.share() };
    for (const [id, run] of Object.entries(on)) byId(id).addEventListener("click", run);
    byId("scrub").addEventListener("input", (event) => this.go(Number(event.target.value)));
    byId("span").addEventListener("change", () => this.ticks());
  }

  async look() { // what is kept, and what has been told
    try {
      const answer = await fetch("/api/history");
      if (!answer.ok) return;
      const past = await answer.json();
      this.minutes = past.minutes;
      this.words = past.words;
      this.ticks();
    } catch { /* the feed says that the service is gone */ }
  }

  get from() { return Math.max(this.feed.now - Number(byId("span").value), this.minutes[0] ?? this.feed.now); }

  ticks() {
    const from = this.from;
    const whole = Math.max(1, this.feed.now - from);
    const marks = this.words.filter((w) => w.time_ms >= from && (MARKED.includes(w.state) || w.phase === "sounding"));
    byId("ticks").replaceChildren(...marks.map((w) => {
      const tick = element("i", { className: w.state ?? "drill", title: `${clock(w.time_ms)} ${w.zone ?? w.zones.join(", ")}` });
      tick.style.left = `${(100 * (w.time_ms - from)) / whole}%`;
      return tick;
    }));
  }

  tick() {
    const passed = performance.now() - this.last;
    this.last = performance.now();
    if (this.at !== null && this.running) {
      this.at += passed * Number(byId("speed").value);
      if (this.at >= this.feed.now - 500) this.live();
    }
    const scrub = byId("scrub");
    scrub.min = this.from;
    scrub.max = this.feed.now;
    if (document.activeElement !== scrub || this.running || this.at === null) scrub.value = this.at ?? this.feed.now;
    scrub.setAttribute("aria-valuetext", clock(this.at ?? this.feed.now));
    byId("moment").textContent = when(this.feed.now, this.at ?? this.feed.now);
    byId("live").classList.toggle("on", this.at === null);
    byId("play").textContent = this.running && this.at !== null ? "⏸" : "▶";
  }

  go(ms) {
    if (ms >= this.feed.now - 1000) return this.live();
    this.at = Math.max(ms, this.minutes[0] ?? ms);
    this.fetch(this.at);
    this.tick();
  }

  live() { this.at = null; this.running = false; this.tick(); }

  toggle() {
    if (this.at === null) { this.go(this.feed.now - MINUTE_MS); this.running = true; }
    else this.running = !this.running;
    this.tick();
  }

  step(ms) { this.go((this.at ?? this.feed.now) + ms); }

  async jump(way) { // to the alert before or after
    await this.look();
    const here = this.at ?? this.feed.now;
    const times = this.words.filter((w) => w.state === "alert").map((w) => w.time_ms);
    const there = way < 0 ? times.filter((ms) => ms < here - 1500).at(-1) : times.find((ms) => ms > here + 1500);
    if (there) this.go(there);
    else if (way > 0) this.live();
  }

  share() {
    const link = `${location.origin}/#t=${new Date(this.at ?? this.feed.now).toISOString().slice(0, 19)}Z`;
    byId("share-link").value = link;
    byId("share-done").textContent = "";
    byId("share-box").showModal();
    byId("share-link").select();
    navigator.clipboard?.writeText(link).then(() => { byId("share-done").textContent = t("copied"); }, () => {});
  }

  fromLink() {
    const ms = Date.parse(new URLSearchParams(location.hash.slice(1)).get("t") ?? "");
    if (Number.isFinite(ms)) this.look().then(() => this.go(ms));
  }

  // ---- what is shown ------------------------------------------------------------------------------------------------

  async fetch(ms) { // the minute of a moment, once; the running one grows
    const start = Math.floor(ms / MINUTE_MS) * MINUTE_MS;
    const whole = start + MINUTE_MS < this.feed.now - 2000;
    const had = this.kept.get(start);
    if (this.asked.has(start) || (had && (had.whole || ms < had.until))) return;
    this.asked.add(start);
    try {
      const answer = await fetch(`/api/history/${start}`);
      const text = answer.ok ? await answer.text() : "";
      const lines = text.split("\n").filter(Boolean).map((line) => JSON.parse(line));
      this.kept.set(start, { whole, until: this.feed.now, lines });
    } catch { /* asked again at the next look */ } finally { this.asked.delete(start); }
    while (this.kept.size > KEPT_MINUTES) this.kept.delete(this.kept.keys().next().value);
  }

  view() { // what stood at the moment that is shown, as the feed has it now
    const { feed } = this;
    if (this.at === null) return { state: feed.state, picture: feed.picture, now: feed.now, past: false };
    this.fetch(this.at);
    const start = Math.floor(this.at / MINUTE_MS) * MINUTE_MS;
    const lines = this.kept.get(start)?.lines ?? [];
    if (!lines.length) return { state: { ...feed.state, zones: feed.state.zones.map((z) => ({ ...z, state: "quiet", last: null })), drills: [] }, picture: null, now: this.at, past: true };
    const state = structuredClone(lines[0]);
    let picture = null;
    const earlier = []; // for the trails, where a moment is jumped to
    for (const line of lines.slice(1)) {
      if ((line.time_ms ?? 0) > this.at) break;
      if (line.type === "picture") { picture = line; if (line.time_ms > this.at - 30_000) earlier.push(line); }
      else told(state, line);
    }
    return { state, picture, earlier, now: this.at, past: true };
  }
}
