import { show } from "/static/feed.js";

const form = document.getElementById("sign-in");
const user = document.getElementById("user");
const password = document.getElementById("password");
const button = form.querySelector("button");

function next() { // only a page of this service: an address of another could be anybody's
  const wanted = new URLSearchParams(location.search).get("next") ?? "/";
  try {
    const url = new URL(wanted, location.origin);
    return url.origin === location.origin ? url.pathname + url.search : "/";
  } catch { return "/"; }
}

async function reason(answer) {
  if (answer.status === 401) return "User or password is wrong.";
  if (answer.status === 429) return `Too many tries. Wait ${answer.headers.get("retry-after") ?? 60} s, then try again.`;
  const told = await answer.json().catch(() => null);
  return told?.error ? `Not signed in: ${told.error}.` : `Not signed in: the service answered ${answer.status}.`;
}

async function signIn() {
  try {
    const answer = await fetch("/api/session", {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ user: user.value.trim(), password: password.value }),
    });
    if (answer.ok) return location.replace(next());
    show("wrong", await reason(answer));
  } catch { show("wrong", "The service does not answer. Listen for the sirens."); }
  password.select();
  password.focus();
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  button.disabled = true;
  show("wrong", "");
  await signIn();
  button.disabled = false;
});

fetch("/api/session").then((answer) => answer.json()).then((seen) => {
  if (seen.name) location.replace(next()); // signed in already
  else if (!seen.accounts) show("wrong", "There are no accounts here: everything can be seen without signing in.");
}).catch(() => {});
