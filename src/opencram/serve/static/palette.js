// The map's colours (after Okabe and Ito, told apart by the colour-blind), dark and light.
const DARK = {
  ground: "#11151a", ring: "#2b333d", coverage: "#56b4e9aa", dim: "#76818d", name: "#aab4bf", strong: "#ffffff", halo: "#11151acc",
  trail: "#9aa4b0", danger: "#ff8a5c",
  zone: { quiet: { fill: "#22324077", line: "#4d6478" }, "pre-alert": { fill: "#e69f0044", line: "#e69f00" }, alert: { fill: "#e0312f66", line: "#ff6a5c" } },
  audible: { fill: "#009e7311", line: "#009e7355" }, launch: { fill: "#cc79a71c", line: "#cc79a7" },
  impact: { fill: "#ff5a4f33", line: "#ff7a70" }, harmless: { fill: "#9aa4b01a", line: "#9aa4b0" },
};
const LIGHT = {
  ground: "#eef0ee", ring: "#c9cfd2", coverage: "#0072b2aa", dim: "#7b858c", name: "#4a545c", strong: "#101418", halo: "#eef0eecc",
  trail: "#5d6871", danger: "#c2410c",
  zone: { quiet: { fill: "#cfd9df88", line: "#8ba0ad" }, "pre-alert": { fill: "#e69f0055", line: "#b77900" }, alert: { fill: "#e0312f55", line: "#b3141a" } },
  audible: { fill: "#009e7314", line: "#009e7377" }, launch: { fill: "#cc79a722", line: "#a3487c" },
  impact: { fill: "#d81e2c2a", line: "#b3141a" }, harmless: { fill: "#5d68711a", line: "#5d6871" },
};

export const palette = (theme) => (theme === "light" ? LIGHT : DARK);
