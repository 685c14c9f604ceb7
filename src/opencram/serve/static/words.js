// The words of the pages: one catalogue (/api/phrases) in every language, and which language is spoken here.
export const LANGUAGES = { en: "English", fr: "Français", ar: "العربية" };
const KEPT = "opencram.language";
const WORDS = "opencram.words";
const ENGLISH = { // what must be said even where the words do not come
  "connecting": "Connecting …", "lost": "CONNECTION LOST – listen for the sirens", "now": "NOW", "acknowledge": "Acknowledge",
  "stalled": "NO RADAR DATA IS WORKED ON – silence is no safety", "not-known": "It is not known whether anything is coming",
  "state-alert": "ALERT", "state-pre-alert": "be ready", "seconds": "{s} s", "sound-locked": "Sound is off: press here",
};
let catalogue = null;
let spoken = chosen();

function chosen() {
  const asked = new URLSearchParams(location.search).get("lang") ?? localStorage.getItem(KEPT) ?? navigator.language.slice(0, 2);
  return asked in LANGUAGES ? asked : "en";
}

export async function load() { // those of the last time at once, which is what a poor network needs; then the newest
  catalogue = JSON.parse(localStorage.getItem(WORDS) ?? "null");
  speak(spoken);
  const newest = fetchWords();
  if (!catalogue) await newest;
}

async function fetchWords() {
  for (;;) {
    try {
      const answer = await fetch("/api/phrases");
      if (answer.ok) {
        catalogue = await answer.json();
        localStorage.setItem(WORDS, JSON.stringify(catalogue));
        return speak(spoken);
      }
    } catch { /* asked again */ }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

export const language = () => spoken;

export function speak(wanted) {
  spoken = wanted;
  localStorage.setItem(KEPT, spoken);
  document.documentElement.lang = spoken;
  document.documentElement.dir = spoken === "ar" ? "rtl" : "ltr";
  translate(document);
  dispatchEvent(new Event("language"));
}

export function next() {
  const all = Object.keys(LANGUAGES);
  speak(all[(all.indexOf(spoken) + 1) % all.length]);
}

const fill = (text, filled) => text.replace(/{(\w+)}/g, (_, name) => filled[name] ?? "");

export function t(key, filled = {}) { // a word of the page
  const said = catalogue?.page?.watch?.[key];
  if (said) return fill(said[spoken] ?? said.en, filled);
  return catalogue ? key : fill(ENGLISH[key] ?? "", filled);
}

export function phrase(part, state, kind, filled = {}) { // what people are told
  const kinds = catalogue?.[part]?.[state] ?? catalogue?.[part]?.any;
  const said = kinds?.[kind] ?? kinds?.any;
  return said ? fill(said[spoken] ?? said.en, filled) : "";
}

export const mark = (status) => (status && status !== "Actual" ? phrase("mark", "any", status.toLowerCase()) : "");

export function titled(thing) { // a zone's or a site's name in this language
  return thing[`${"name" in thing ? "name" : "title"}_${spoken}`] || thing.name || thing.title || thing.id;
}

export function translate(root) { // what stands in a page
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", t(element.dataset.label));
    element.title = t(element.dataset.label) + (element.dataset.key ? ` (${element.dataset.key})` : "");
  }
}
