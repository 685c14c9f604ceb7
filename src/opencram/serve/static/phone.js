import { Feed, clock, mark, seconds, show } from "/static/feed.js";

const WORDS = {
  "alert": ["TAKE COVER", "Get into shelter now, or lie down and cover your head. Stay until the all-clear."],
  "pre-alert": ["BE READY", "Go near a shelter and wait. You will be told more."],
  "all-clear": ["ALL CLEAR", "You may leave the shelter. Do not touch debris; report it."],
  "cancel": ["ALL CLEAR", "The danger has passed. You may leave the shelter."],
  "quiet": ["NO ALERT", "Keep this page open."],
};
const ENDED_MS = 10 * 60_000; // so long the end of an alert is what is shown

function word(feed, zone) {
  if (zone.state !== "quiet") return zone.state;
  return zone.last && feed.now - zone.last.time_ms < ENDED_MS ? zone.last.state : "quiet";
}

function drillWords(feed, drill) {
  if (drill.phase === "notice")
    return ["DRILL SOON", drill.starts_ms, "A drill will sound. This is an exercise: nothing is coming."];
  return ["DRILL", null, "This is an exercise: nothing is coming. Practise taking cover."];
}

let phrases = null; // the catalogue: what it lacks, or where it does not come, is said in English alone
fetch("/api/phrases").then((answer) => answer.json()).then((found) => { phrases = found; }).catch(() => {});

function instruction(zone, state, drill, language) {
  if (drill) state = drill.phase === "notice" ? "drill-notice" : "alert";
  const kinds = phrases?.instruction?.[state];
  return (kinds?.[drill ? "drill" : zone.last?.kind] ?? kinds?.any)?.[language] ?? "";
}

function draw(feed) {
  const zone = feed.state?.zones[0];
  const quiet = zone?.state === "quiet";
  const drill = quiet ? feed.state.drills[0] : undefined; // a real warning goes before any drill
  const unknown = feed.lost || (feed.stalled && quiet && !drill); // then nothing can be said for safe
  document.body.className = `phone ${unknown && (quiet || !zone) ? "unknown" : drill ? "drill" : zone.state}`;
  show("lost", feed.lost ? (zone ? "CONNECTION LOST – listen for the sirens" : "Connecting …") : "");
  show("stalled", !feed.lost && feed.stalled ? "NO DATA – listen for the sirens" : "");
  mark(feed, unknown ? undefined : drill);
  if (!zone) return;
  document.title = `${zone.name} – opencram`;
  let [text, advice] = WORDS[word(feed, zone)];
  let until = quiet ? null : zone.last?.impact_ms;
  if (drill) [text, until, advice] = drillWords(feed, drill);
  if (unknown && quiet) [text, advice] = ["NOT KNOWN", "This page cannot tell whether you are safe. Listen for the sirens."];
  show("title", zone.name);
  show("state", text);
  show("count", until && !feed.lost ? (until > feed.now ? String(seconds(until - feed.now)) : "NOW") : "");
  show("do", advice);
  for (const language of ["fr", "ar"]) {
    show(`do-${language}`, unknown && quiet ? "" : instruction(zone, word(feed, zone), drill, language));
  }
  show("when", zone.last && !drill ? `${zone.last.state} at ${clock(zone.last.time_ms)}` : "");
  show("site", `${feed.state.title} · ${clock(feed.now)}`);
}

const zone = decodeURIComponent(location.pathname.split("/")[2]);
new Feed(zone, draw);
