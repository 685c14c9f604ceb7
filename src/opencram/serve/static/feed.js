// The feed, kept open: what stands, each word once, and the moment from which nothing is heard any more.
const LOST_MS = 1800; // the service speaks at least once a second
const RETRY_MS = [250, 4000];
export const LEVEL = { "pre-alert": "pre-alert", "alert": "alert", "update": "alert" };

export class Feed {
  constructor(zone, changed, { onword, onstate, heard } = {}) { // 'heard': run and number of the last word, of earlier
    Object.assign(this, { zone, changed, onword, onstate, before: heard });
    this.state = null; // the last 'state', with every later word worked in
    this.picture = null;
    this.stalled = false;
    this.clockOff = 0; // the service's clock minus ours
    this.heard = -Infinity; // when, by a clock that never steps
    this.wait = RETRY_MS[0];
    this.open();
    setInterval(() => this.look(), 100);
  }

  get lost() { return performance.now() - this.heard > LOST_MS; }
  get now() { return Date.now() + this.clockOff; }

  open() {
    this.opened = performance.now();
    const query = new URLSearchParams();
    if (this.zone !== null) query.set("zone", this.zone);
    const last = this.state ?? this.before;
    if (last) { query.set("run", last.run); query.set("after", last.seq); }
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}/ws?${query}`);
    socket.onmessage = (event) => { if (socket === this.socket) this.hear(JSON.parse(event.data)); };
    socket.onclose = () => { if (socket === this.socket) this.again(); };
  }

  again() {
    this.socket = null;
    dispatchEvent(new Event("feed-closed"));
    setTimeout(() => { if (!this.socket) this.open(); }, this.wait * (0.5 + Math.random()));
    this.wait = Math.min(2 * this.wait, RETRY_MS[1]);
  }

  look() { // a connection that has fallen silent is given up: a network that went away closes nothing
    if (this.socket && performance.now() - Math.max(this.heard, this.opened) > 2 * LOST_MS) {
      const silent = this.socket;
      this.again();
      silent.close();
    }
    this.changed(this);
  }

  hear(message) {
    this.heard = performance.now();
    this.wait = RETRY_MS[0];
    if (message.now_ms) this.clockOff = message.now_ms - Date.now();
    if (message.type === "state") this.stands(message);
    else if (message.type === "warning" || message.type === "drill") this.word(message);
    else if (message.type === "picture") this.picture = message;
    if ("stalled" in message) this.stalled = message.stalled;
    this.changed(this);
  }

  stands(state) { // words that were missed are told first, then what stands
    this.state = state;
    for (const word of state.missed) this.onword?.(word);
    this.onstate?.(state);
  }

  word(word) {
    if (told(this.state, word)) this.onword?.(word);
  }
}

export function told(state, word) { // work a word into what stands; whether it was new
  if (word.seq <= state.seq) return false;
  state.seq = word.seq;
  if (word.type === "drill") {
    state.drills = state.drills.filter((d) => d.drill !== word.drill);
    if (word.phase === "notice" || word.phase === "sounding") state.drills.push(word);
    return true;
  }
  const zone = state.zones.find((z) => z.id === word.zone);
  if (zone) { zone.last = word; zone.state = LEVEL[word.state] ?? "quiet"; }
  return true;
}

export const seconds = (ms) => Math.max(0, Math.ceil(ms / 1000));
export const day = (ms) => new Date(ms).toLocaleDateString("sv"); // 2026-11-24
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

export function show(id, text) { // an element is there while there is something to say
  const element = document.getElementById(id);
  element.hidden = !text;
  if (element.textContent !== text) element.textContent = text;
}

export function mark(feed, drill) { // what is no real warning says so, whatever else is shown
  const status = feed.state?.status;
  const unreal = status && status !== "Actual" ? `${status.toUpperCase()} – ${feed.state.provenance}` : drill ? "EXERCISE – drill" : "";
  document.getElementById("mark").hidden = !unreal;
  show("status", unreal);
}
