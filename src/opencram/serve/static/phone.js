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

function draw(feed) {
  const zone = feed.state?.zones[0];
  document.body.className = "phone";
  document.body.classList.toggle("lost", feed.lost);
  document.body.classList.toggle("stalled", feed.stalled);
  show("lost", feed.lost ? (feed.state ? "CONNECTION LOST – listen for the sirens" : "Connecting …") : "");
  show("stalled", !feed.lost && feed.stalled ? "NO DATA – listen for the sirens" : "");
  const drill = zone?.state === "quiet" ? feed.state.drills[0] : undefined; // a real warning goes before any drill
  mark(feed, drill);
  if (!zone) return;
  document.title = `${zone.name} – opencram`;
  const shown = word(feed, zone);
  document.body.classList.add(drill ? "drill" : zone.state);
  let [text, advice] = WORDS[shown];
  let until = zone.state === "quiet" ? null : zone.last?.impact_ms;
  if (drill) [text, until, advice] = drillWords(feed, drill);
  const silent = feed.lost || (feed.stalled && zone.state === "quiet" && !drill); // then nothing can be said for safe
  show("title", zone.name);
  show("state", silent ? (zone.state === "quiet" ? "NOT KNOWN" : text) : text);
  show("count", until && !feed.lost ? (until > feed.now ? String(seconds(until - feed.now)) : "NOW") : "");
  show("do", silent && zone.state === "quiet" ? "This page cannot tell whether you are safe. Listen for the sirens." : advice);
  show("when", zone.last && !drill ? `${zone.last.state} at ${clock(zone.last.time_ms)}` : "");
  show("site", `${feed.state.title} · ${clock(feed.now)}`);
}

const zone = decodeURIComponent(location.pathname.split("/")[2]);
new Feed(zone, draw);
