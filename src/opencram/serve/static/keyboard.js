// Every command has a key; the list of them (?) is made of this table alone.
import { t } from "/static/words.js";
import { element } from "/static/boards.js";

const byId = (id) => document.getElementById(id);

export function keyboard(commands) {
  const { timeline } = commands;
  const keys = [
    ["a", "key-acknowledge", commands.acknowledge], ["A", "key-acknowledge-all", commands.acknowledgeAll],
    ["s", "key-silence", commands.silence], ["l", "key-locate", commands.locate], ["u", "key-unlock", commands.unlock],
    ["x", "key-alarm", () => commands.act("alarm")], ["c", "key-clear", () => commands.act("all-clear")], ["e", "key-drill", () => commands.act("drill")],
    ["1", "zones", () => commands.board("zones")], ["2", "tracks", () => commands.board("tracks")],
    ["3", "sirens", () => commands.board("sirens")], ["4", "sensors", () => commands.board("sensors")], ["f", "key-filter", commands.filter],
    ["m", "key-view", commands.view], ["+", "zoom-in", () => commands.zoom(1)], ["-", "zoom-out", () => commands.zoom(-1)],
    ["h", "home", commands.home], ["r", "measure", commands.measure], ["y", "layers", commands.layers],
    ["j", "before", () => timeline.jump(-1)], ["k", "after", () => timeline.jump(1)], ["p", "play", () => timeline.toggle()],
    ["[", "key-back", () => timeline.step(-10_000)], ["]", "key-on", () => timeline.step(10_000)], ["n", "to-live", () => timeline.live()],
    ["i", "share", () => timeline.share()], ["g", "language", commands.language], ["d", "theme", commands.theme],
    ["?", "keys", () => help(keys)],
  ];
  byId("keys").addEventListener("click", () => help(keys));
  const byKey = new Map(keys.map(([key, , run]) => [key, run]));
  addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.key === "Escape") document.activeElement?.blur();
    const typed = event.target.matches?.("input:not([type=range]):not([type=checkbox]), textarea");
    if (typed && !event.target.closest("dialog:not([open])")) return; // a box just closed holds the focus for a moment yet
    const run = byKey.get(event.key);
    if (!run) return;
    event.preventDefault();
    run();
  });
}

function help(keys) {
  const box = byId("help-list");
  box.replaceChildren(...keys.flatMap(([key, what]) => [element("kbd", { textContent: key, dir: "ltr" }), element("span", { textContent: t(what) })]));
  byId("help").showModal();
}
