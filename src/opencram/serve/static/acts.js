// What an operator does: one dialog that says what will happen, and asks once more.
import { mark, t, titled } from "/static/words.js";
import { element } from "/static/boards.js";

const byId = (id) => document.getElementById(id);
const EVERY = "*";

export function acts(feed, session) {
  const box = byId("ask");
  let kind = "";

  function body() {
    const zone = byId("ask-zone").value;
    if (kind === "self-test") return { all: true };
    if (kind === "drill") return zone === EVERY ? { all: true } : { zones: [zone] };
    return { zone };
  }

  function words() {
    const zone = feed.state.zones.find((z) => z.id === byId("ask-zone").value);
    const name = zone ? titled(zone) : t("every-zone");
    byId("ask-title").textContent = t(`ask-${kind}`);
    byId("ask-text").textContent = t(`ask-${kind}-text`, { zone: name });
    byId("ask-yes").textContent = t(`ask-${kind}-yes`, { zone: name });
    byId("ask-yes").className = kind;
  }

  async function go() {
    const yes = byId("ask-yes");
    yes.disabled = true;
    let sentence;
    try {
      const answer = await fetch(`/api/${kind}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "X-CSRF-Token": session.seen.csrf },
        body: JSON.stringify(body()),
      });
      const told = await answer.json();
      if (answer.ok) { byId("murmur").textContent = told.sentence; box.close(); return; }
      sentence = told.error;
    } catch { sentence = t("no-answer"); } finally { yes.disabled = false; }
    byId("ask-answer").textContent = sentence;
    byId("ask-answer").hidden = false;
  }

  byId("ask-yes").addEventListener("click", go);
  byId("ask-zone").addEventListener("change", words);
  return {
    open(wanted, zone) {
      if (!feed.state) return;
      kind = wanted;
      const zones = feed.state.zones.map((z) => element("option", { value: z.id, textContent: titled(z) }));
      if (kind === "drill") zones.unshift(element("option", { value: EVERY, textContent: t("every-zone") }));
      byId("ask-zone").replaceChildren(...zones);
      byId("ask-zone").value = zone ?? (kind === "drill" ? EVERY : feed.state.zones[0].id);
      byId("ask-zone").hidden = byId("ask-label").hidden = kind === "self-test";
      byId("ask-answer").hidden = true;
      const unreal = feed.state.status !== "Actual";
      byId("ask-mark").hidden = !unreal;
      byId("ask-mark").firstChild.textContent = mark(feed.state.status);
      words();
      box.showModal();
      byId("ask-no").focus();
    },
  };
}
