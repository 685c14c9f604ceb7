// Who has signed in, how to sign out, and a notice where the session has ended or soon will.
import { show } from "/static/feed.js";
import { t } from "/static/words.js";

const LOOK_MS = 15_000;
const SOON_MS = 10 * 60_000;
const here = `/sign-in?next=${encodeURIComponent(location.pathname)}`;
export const session = { seen: null };
let was = ""; // who was signed in on this page

async function look() {
  try {
    const answer = await fetch("/api/session");
    if (!answer.ok) return;
    session.seen = await answer.json();
  } catch { return; } // that the service does not answer is told by the feed
  was ||= session.seen.name;
  draw();
}

function draw() {
  const { seen } = session;
  const ended = seen.accounts && !seen.name;
  const left = seen.ends_ms ? seen.ends_ms - Date.now() : Infinity;
  const ending = left < SOON_MS ? `${t("session-ends", { n: Math.max(1, Math.ceil(left / 60_000)) })} ` : "";
  const text = ended ? `${t(was ? "session-ended" : "not-signed-in")} ` : ending;
  const notice = document.getElementById("session");
  notice.hidden = !text;
  if (notice.dataset.shown !== text) {
    notice.dataset.shown = text;
    notice.replaceChildren(text, Object.assign(document.createElement("a"), { href: here, textContent: t("sign-in") }));
    if (!ended) notice.lastChild.addEventListener("click", again);
  }
  show("who", seen.name ? `${seen.name}, ${seen.role}` : "");
  document.getElementById("sign-out").hidden = !seen.csrf;
  dispatchEvent(new Event("session"));
}

async function end() {
  await fetch("/api/session", { method: "DELETE", headers: { "X-CSRF-Token": session.seen.csrf } });
}

async function again(event) { // a session that ends soon is ended now, so that a new one can begin
  event.preventDefault();
  await end();
  location.assign(here);
}

document.getElementById("sign-out").addEventListener("click", async () => {
  await end();
  location.assign("/sign-in");
});
setInterval(look, LOOK_MS);
addEventListener("feed-closed", look);
addEventListener("language", () => { if (session.seen) draw(); });
look();
