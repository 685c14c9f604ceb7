// The alarm: a card per zone with its countdown, told by the feed alone; no map has to be drawn for it.
import { clock } from "/static/feed.js";
import { t, titled } from "/static/words.js";
import { SHAPE, element, kindOf, left } from "/static/boards.js";

const MOST = 6; // cards; the others are counted
const box = document.getElementById("alarms");
const cards = new Map();

function card(zone) {
  const made = element("article", { tabIndex: 0, "data-id": zone },
    element("span", { className: "shape", "aria-hidden": "true" }),
    element("div", { className: "what" }, element("strong"), element("span")),
    element("span", { className: "left", dir: "ltr" }),
    element("div", { className: "buttons" },
      element("button", { type: "button", "data-act": "acknowledge" }), element("button", { type: "button", "data-act": "locate" })));
  cards.set(zone, made);
  return made;
}

function set(node, text) { if (node.textContent !== text) node.textContent = text; }

function fill(made, alarm, feed) {
  made.dataset.seq = alarm.seq;
  const zone = feed.state.zones.find((z) => z.id === alarm.zone);
  const name = zone ? titled(zone) : alarm.zone;
  const seconds = alarm.over ? null : left(feed.now, alarm.impact_ms);
  made.className = `alarm ${alarm.level} ${alarm.over ? "over" : ""} ${alarm.acked ? "acked" : ""}`;
  set(made.children[0], alarm.over ? "✓" : SHAPE[alarm.level]);
  set(made.querySelector("strong"), name);
  const state = alarm.over ? t("over", { at: clock(alarm.over) }) : t(`state-${alarm.level}`);
  set(made.querySelector(".what span"), [state, kindOf(alarm.kind), t("since", { at: clock(alarm.since) })].join(" · "));
  const count = made.querySelector(".left");
  count.classList.toggle("word", !seconds);
  set(count, seconds === null || feed.lost ? "" : seconds ? t("seconds", { s: seconds }) : t("now"));
  const [acknowledge, locate] = made.querySelectorAll("button");
  acknowledge.hidden = alarm.acked;
  set(acknowledge, t("acknowledge"));
  set(locate, t("locate"));
}

export function banner(feed, alarms) {
  if (!feed.state) return;
  const all = alarms.list;
  const shown = all.slice(0, MOST);
  for (const [zone, made] of cards) {
    if (!shown.some((alarm) => alarm.zone === zone)) { made.remove(); cards.delete(zone); }
  }
  shown.forEach((alarm, i) => {
    const made = cards.get(alarm.zone) ?? card(alarm.zone);
    fill(made, alarm, feed);
    if (box.children[i] !== made) box.insertBefore(made, box.children[i] ?? null);
  });
  const more = all.length - shown.length;
  let note = box.querySelector("#calm");
  if (!note) box.append(note = element("p", { id: "calm" }));
  const quiet = feed.lost || feed.stalled ? t("not-known") : t("no-alert");
  set(note, more > 0 ? t("more", { n: more }) : all.length ? "" : quiet);
  note.hidden = !note.textContent;
  note.className = feed.lost || feed.stalled ? "unknown" : "";
  box.classList.toggle("calm", !all.length);
}
