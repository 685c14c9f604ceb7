// Sounds by Web Audio, a bar after the other: one for rockets, one for drones, a calm one for places nearby, one for a
// lost connection. What is no real warning begins each bar with two pips. A browser lets a page sound after a gesture only.
const BARS = { // seconds, then notes: at, from Hz, to Hz, seconds, wave, loudness
  rocket: [1.2, [[0, 620, 1240, 0.5, "sawtooth", 0.5], [0.55, 620, 1240, 0.5, "sawtooth", 0.5]]],
  drone: [1.6, [[0, 196, 196, 0.34, "square", 0.4], [0.4, 233, 233, 0.34, "square", 0.4], [0.8, 196, 196, 0.6, "square", 0.4]]],
  near: [4, [[0, 660, 660, 0.5, "sine", 0.35], [0.45, 528, 528, 0.9, "sine", 0.35]]],
  lost: [3, [[0, 330, 330, 0.12, "triangle", 0.5], [0.2, 330, 330, 0.12, "triangle", 0.5], [0.4, 247, 247, 0.4, "triangle", 0.5]]],
};
const PIPS = [[0, 1760, 1760, 0.06, "sine", 0.3], [0.12, 1760, 1760, 0.06, "sine", 0.3]];
const PIPS_S = 0.3;
const AHEAD_S = 0.15;

export class Sound {
  constructor() {
    this.context = null;
    this.playing = "";
    this.bus = null;
    this.due = 0;
  }

  get running() { return this.context?.state === "running"; }

  async unlock() { // in a gesture
    this.context ??= new AudioContext();
    await this.context.resume();
  }

  play(kind, unreal) { // asked for ten times a second
    if (kind !== this.playing) { this.stop(); this.playing = kind; }
    if (!kind || !this.running || this.context.currentTime < this.due - AHEAD_S) return;
    if (!this.bus) {
      this.bus = this.context.createGain();
      this.bus.connect(this.context.destination);
    }
    const [length, notes] = BARS[kind];
    const begin = Math.max(this.due, this.context.currentTime + 0.02);
    const lead = unreal ? PIPS_S : 0;
    if (unreal) for (const note of PIPS) this.note(begin, note);
    for (const note of notes) this.note(begin + lead, note);
    this.due = begin + lead + length;
  }

  note(begin, [at, from, to, length, wave, loudness]) {
    const tone = new OscillatorNode(this.context, { type: wave, frequency: from });
    const level = new GainNode(this.context, { gain: 0 });
    const start = begin + at;
    tone.frequency.setValueAtTime(from, start);
    tone.frequency.linearRampToValueAtTime(to, start + length);
    level.gain.setValueAtTime(0, start);
    level.gain.linearRampToValueAtTime(loudness, start + 0.02);
    level.gain.setValueAtTime(loudness, start + length - 0.03);
    level.gain.linearRampToValueAtTime(0, start + length);
    tone.connect(level).connect(this.bus);
    tone.start(start);
    tone.stop(start + length);
  }

  stop() {
    this.bus?.disconnect();
    this.bus = null;
    this.due = 0;
  }
}
