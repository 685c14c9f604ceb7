// Symbols of what flies (MIL-STD-2525D by milsymbol) and of what stands: each differs from the others in shape, not in
// colour alone.
const MISSILE = "60200001100000000";
const DRONE = "60100001103000000";
const UNKNOWN = "10100000000000000";
const CODES = {
  drone: DRONE, quadcopter: DRONE, aircraft: "10100001200000000", helicopter: "10100001202000000", unknown: UNKNOWN,
};
const DOTS = ["bird", "gunfire", "fragment", "debris"];
const SIZE = 22;
const made = new Map();

export function loadMilsymbol() {
  return new Promise((done) => {
    const script = document.createElement("script");
    script.src = "/static/vendor/milsymbol.js";
    script.onload = script.onerror = done;
    document.head.append(script);
  });
}

export function symbol(cls) { // a canvas
  if (!made.has(cls)) made.set(cls, draw(cls));
  return made.get(cls);
}

function draw(cls) {
  if (DOTS.includes(cls) || !globalThis.ms) return dot(cls);
  const code = `100${CODES[cls] ?? MISSILE}`;
  return new globalThis.ms.Symbol(code, { size: SIZE, outlineColor: "rgba(10,12,15,0.85)", outlineWidth: 3 }).asCanvas(2);
}

function canvas(size) {
  const made = document.createElement("canvas");
  made.width = made.height = size;
  return [made, made.getContext("2d")];
}

function dot(cls) { // a cross for debris, a ring for what means no harm, a disc where there is no better symbol
  const [made, pen] = canvas(28);
  pen.translate(14, 14);
  pen.lineWidth = 4;
  pen.strokeStyle = pen.fillStyle = cls === "debris" || cls === "fragment" ? "#e69f00" : "#9aa4b0";
  pen.beginPath();
  if (cls === "debris" || cls === "fragment") { for (const s of [1, -1]) { pen.moveTo(-7, -7 * s); pen.lineTo(7, 7 * s); } pen.stroke(); }
  else if (DOTS.includes(cls)) { pen.arc(0, 0, 5, 0, 7); pen.stroke(); }
  else { pen.fillStyle = "#ff6a74"; pen.arc(0, 0, 8, 0, 7); pen.fill(); }
  return made;
}

const INK = { ok: "#7fb7a3", unknown: "#8b95a1", fault: "#f0b400", sounding: "#ff5a4f" };

export function stand(kind, look) { // a siren is a triangle, a sensor a square; a fault is crossed out, sounding has waves
  const key = `${kind} ${look}`;
  if (made.has(key)) return made.get(key);
  const [picture, pen] = canvas(44);
  pen.translate(22, 22);
  pen.lineJoin = "round";
  pen.strokeStyle = "rgba(10,12,15,0.85)";
  pen.fillStyle = INK[look];
  pen.lineWidth = 3;
  pen.beginPath();
  if (kind === "siren") { pen.moveTo(0, -9); pen.lineTo(9, 8); pen.lineTo(-9, 8); pen.closePath(); }
  else pen.rect(-9, -9, 18, 18);
  pen.stroke();
  if (look === "unknown") { pen.lineWidth = 2.5; pen.strokeStyle = INK.unknown; pen.stroke(); } else pen.fill();
  pen.strokeStyle = look === "fault" ? "#14171b" : INK[look];
  pen.lineWidth = 3;
  pen.beginPath();
  if (look === "fault") { pen.moveTo(-5, -4); pen.lineTo(5, 7); pen.moveTo(5, -4); pen.lineTo(-5, 7); }
  if (look === "sounding") for (const r of [14, 19]) { pen.moveTo(r * 0.87, -r * 0.5); pen.arc(0, 0, r, -0.52, 0.52); pen.moveTo(-r * 0.87, r * 0.5); pen.arc(0, 0, r, Math.PI - 0.52, Math.PI + 0.52); }
  pen.stroke();
  made.set(key, picture);
  return picture;
}

export const CLASSES = ["missile", "drone", "quadcopter", "aircraft", "helicopter", "unknown", ...DOTS];
const NAMED = new Set(CLASSES);
export const imageOf = (cls) => (NAMED.has(cls) ? cls : "missile");
export const LOOKS = ["ok", "unknown", "fault", "sounding"];
