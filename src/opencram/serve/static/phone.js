// For the people in one zone: one state, one countdown, what to do. At /zone, which zone that is, chosen by hand.
import { Feed, clock, seconds, show } from "/static/feed.js";
import * as words from "/static/words.js";

const ENGLISH = { // where the words do not come
  "phone-alert": "TAKE COVER", "phone-pre-alert": "BE READY", "phone-all-clear": "ALL CLEAR", "phone-cancel": "ALL CLEAR", "phone-quiet": "NO ALERT",
  "phone-drill": "DRILL", "phone-drill-notice": "DRILL SOON", "phone-unknown": "NOT KNOWN", "phone-now": "NOW",
  "phone-lost": "NO CONNECTION – listen for the sirens", "phone-stalled": "NO DATA – listen for the sirens",
  "phone-quiet-do": "Keep this page open.", "phone-unknown-do": "This page cannot tell whether you are safe. Listen for the sirens.",
  "phone-alert-do": "Get into shelter now, or lie down and cover your head. Stay until the all-clear.",
  "connecting": "Connecting …", "phone-other": "Another zone", "phone-choose": "Where are you?",
};
const ENDED_MS = 10 * 60_000; // so long the end of an alert is what is shown
const KEPT = "opencram.zone";
const byId = (id) => document.getElementById(id);
const asked = location.pathname.split("/")[2];

function t(key, filled) {
  const said = words.t(key, filled);
  return said && said !== key ? said : ENGLISH[key] ?? "";
}

function word(feed, zone) {
  if (zone.state !== "quiet") return zone.state;
  return zone.last && feed.now - zone.last.time_ms < ENDED_MS ? zone.last.state : "quiet";
}

function advice(zone, state, drill) {
  if (state === "quiet") return t("phone-quiet-do");
  const kind = drill ? "drill" : zone.last?.kind;
  const what = drill ? (drill.phase === "notice" ? "drill-notice" : "alert") : state;
  return words.phrase("instruction", what, kind) || (state === "alert" ? t("phone-alert-do") : "");
}

function mark(feed, drill) { // what is no real warning says so
  const status = feed.state?.status;
  const unreal = status && status !== "Actual" ? status : drill ? drill.status : "";
  byId("mark").hidden = !unreal;
  show("status", unreal ? words.mark(unreal) || unreal.toUpperCase() : "");
}

function draw(feed) {
  const zone = feed.state?.zones[0];
  const quiet = zone?.state === "quiet";
  const drill = quiet ? feed.state.drills[0] : undefined; // a real warning goes before any drill
  const unknown = feed.lost || (feed.stalled && quiet && !drill); // then nothing can be said for safe
  document.body.className = `phone ${unknown && (quiet || !zone) ? "unknown" : drill ? "drill" : zone.state}`;
  show("lost", feed.lost ? t(zone ? "phone-lost" : "connecting") : "");
  show("stalled", !feed.lost && feed.stalled ? t("phone-stalled") : "");
  mark(feed, unknown ? undefined : drill);
  if (!zone) return;
  const state = unknown && quiet ? "unknown" : drill ? (drill.phase === "notice" ? "drill-notice" : "drill") : word(feed, zone);
  const until = drill ? (drill.phase === "notice" ? drill.starts_ms : null) : quiet ? null : zone.last?.impact_ms;
  document.title = `${words.titled(zone)} – opencram`;
  show("title", words.titled(zone));
  show("state", t(`phone-${state}`));
  show("count", until && !feed.lost ? (until > feed.now ? String(seconds(until - feed.now)) : t("phone-now")) : "");
  show("do", state === "unknown" ? t("phone-unknown-do") : advice(zone, state, drill));
  show("when", zone.last && !drill && state !== "unknown" ? `${words.t(`state-${zone.last.state}`)} ${clock(zone.last.time_ms)}` : "");
  show("site", `${words.titled(feed.state)} · ${clock(feed.now)}`);
}

async function choose() {
  document.body.className = "phone choosing";
  show("lost", "");
  for (let places = null; !places;) {
    try {
      const answer = await fetch("/api/places");
      if (answer.ok) places = await answer.json();
    } catch { /* asked again */ }
    if (!places) { show("lost", t("connecting")); await new Promise((done) => setTimeout(done, 2000)); continue; }
    list(places);
    addEventListener("language", () => list(places));
  }
}

function list(places) {
  show("lost", "");
  show("title", t("phone-choose"));
  document.title = t("phone-choose");
  const last = localStorage.getItem(KEPT);
  const sorted = [...places].sort((a, b) => (b.id === last) - (a.id === last) || words.titled(a).localeCompare(words.titled(b)));
  byId("choose").hidden = false;
  byId("choose").replaceChildren(...sorted.map((zone) =>
    Object.assign(document.createElement("a"), { href: `/zone/${encodeURIComponent(zone.id)}`, textContent: words.titled(zone), className: zone.id === last ? "last" : "" })));
}

byId("language").append(...Object.entries(words.LANGUAGES).map(([value, textContent]) => Object.assign(document.createElement("option"), { value, textContent })));
byId("language").addEventListener("change", (event) => words.speak(event.target.value));
addEventListener("language", () => {
  byId("language").value = words.language();
  show("other", asked ? t("phone-other") : "");
});
words.load();
if (asked) {
  const zone = decodeURIComponent(asked);
  localStorage.setItem(KEPT, zone);
  new Feed(zone, draw);
} else choose();
