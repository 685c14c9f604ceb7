// The alarms of this desk: each stands until it has been acknowledged here, also when it is over, also over a reload.
import { LEVEL } from "/static/feed.js";

const KEPT = "opencram.alarms";
const OWN = "opencram.own";
const RANK = { "alert": 2, "pre-alert": 1 };

export class Alarms {
  constructor() {
    this.all = new Map(); // by zone
    this.silenced = 0; // alarms raised until then make no sound
    this.raised = 0;
    this.heard = null;
    this.onraise = () => {};
    this.own = new Set(read(OWN) ?? []); // zones of this desk; none: all are
    const kept = read(KEPT);
    if (kept?.run) {
      this.heard = { run: kept.run, seq: kept.seq };
      for (const alarm of kept.alarms) this.all.set(alarm.zone, alarm);
      this.raised = Math.max(0, ...kept.alarms.map((a) => a.raised));
    }
  }

  get list() { // the worst first, then the soonest
    const soon = (a) => a.impact_ms ?? Infinity;
    const rank = (a) => (a.over ? 0 : RANK[a.level]) + (a.acked ? 0 : 0.5);
    return [...this.all.values()].sort((a, b) => rank(b) - rank(a) || soon(a) - soon(b) || (a.zone < b.zone ? -1 : 1));
  }

  get open() { return this.list.filter((a) => !a.acked); }

  isOwn(zone) { return !this.own.size || this.own.has(zone); }

  choose(zone) {
    if (!this.own.delete(zone)) this.own.add(zone);
    localStorage.setItem(OWN, JSON.stringify([...this.own]));
  }

  word(word) {
    this.heard = { run: this.heard?.run, seq: word.seq };
    if (word.type === "drill") return;
    const level = LEVEL[word.state];
    const alarm = this.all.get(word.zone);
    if (!level) { if (alarm) this.end(alarm, word.time_ms, word.state); return; }
    const { zone, seq, kind, impact_ms, tracks, reason } = word;
    const told = { seq, kind, impact_ms, tracks, reason };
    if (!alarm || alarm.over || RANK[level] > RANK[alarm.level]) {
      const since = alarm && !alarm.over ? alarm.since : word.time_ms;
      this.all.set(zone, { zone, level, since, acked: false, over: null, raised: ++this.raised, ...told });
      this.onraise(this.all.get(zone));
    } else Object.assign(alarm, told);
  }

  end(alarm, time_ms, how) {
    if (alarm.acked) this.all.delete(alarm.zone);
    else if (!alarm.over) Object.assign(alarm, { over: time_ms, how, impact_ms: null });
  }

  stands(state) { // after a connection: what stands is right, whatever was missed
    for (const zone of state.zones) {
      const alarm = this.all.get(zone.id);
      if (LEVEL[zone.last?.state]) { if (!alarm || alarm.over || alarm.level !== zone.state) this.word(zone.last); }
      else if (alarm) this.end(alarm, zone.last?.time_ms ?? state.now_ms, zone.last?.state ?? "all-clear");
    }
    this.heard = { run: state.run, seq: state.seq };
    this.keep();
  }

  acknowledge(zone) {
    const alarm = this.all.get(zone);
    if (!alarm) return;
    alarm.acked = true;
    if (alarm.over) this.all.delete(zone);
    this.keep();
  }

  silence() { this.silenced = this.raised; }

  get sound() { // what is to be heard now: rocket, drone, near, or nothing
    const loud = this.open.filter((a) => !a.over && a.raised > this.silenced);
    const worst = loud.filter((a) => a.level === "alert" && this.isOwn(a.zone));
    if (worst.some((a) => a.kind !== "drone")) return "rocket";
    if (worst.length) return "drone";
    return loud.length ? "near" : "";
  }

  keep() {
    localStorage.setItem(KEPT, JSON.stringify({ ...this.heard, alarms: [...this.all.values()] }));
  }
}

function read(key) {
  try { return JSON.parse(localStorage.getItem(key)); } catch { return null; }
}
