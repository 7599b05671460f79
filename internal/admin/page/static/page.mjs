// Keeps a page as the registry is, and lets an admin change a cluster. The server has
// made all texts; this puts them in their places, and nothing is ever read as HTML.

const body = document.body;
const $ = (id) => document.getElementById(id);

// How far the registry's clock is ahead of this one, in milliseconds.
let ahead = Number(body.dataset.now) - Date.now();

// ---- What elements are bound to ----

// The elements of each row that show a field, found once.
const bindings = new WeakMap();

// bindingsOf returns the bound elements of a row, without those of rows within it.
function bindingsOf(element) {
  let found = bindings.get(element);
  if (found) return found;
  found = [];
  const bound = [element, ...element.querySelectorAll("[data-t],[data-a],[data-h]")];
  for (const e of bound) {
    if (e.closest("[data-key]") !== element) continue;
    const attributes = e.dataset.a ? e.dataset.a.split(",").map((pair) => pair.split(":")) : [];
    found.push({ e, text: e.dataset.t, attributes, hidden: e.dataset.h });
  }
  bindings.set(element, found);
  return found;
}

// put shows fields in a row, and touches nothing that is so already.
function put(element, fields) {
  for (const { e, text, attributes, hidden } of bindingsOf(element)) {
    if (text !== undefined) {
      const value = fields[text] ?? "";
      if (e.textContent !== value) e.textContent = value;
    }
    for (const [name, field] of attributes) {
      const value = fields[field] ?? "";
      if (e.getAttribute(name) !== value) e.setAttribute(name, value);
    }
    if (hidden !== undefined) {
      const hide = !fields[hidden];
      if (e.hasAttribute("hidden") !== hide) e.toggleAttribute("hidden", hide);
    }
    if (e.dataset.age !== undefined) age(e);
  }
}

// ---- Ages ----

function ageText(ms) {
  const s = Math.max(0, Math.floor(ms / 1000));
  if (s < 60) return s + "s";
  if (s < 3600) return Math.floor(s / 60) + "m";
  if (s < 48 * 3600) return Math.floor(s / 3600) + "h";
  return Math.floor(s / 86400) + "d";
}

function age(e) {
  const at = Date.parse(e.dateTime);
  const text = Number.isNaN(at) ? "" : ageText(Math.abs(Date.now() + ahead - at));
  if (e.textContent !== text) e.textContent = text;
}

function ages() {
  for (const e of document.querySelectorAll("time[data-age]")) age(e);
}

// ---- Rows ----

const rows = new Map(); // by key
for (const e of document.querySelectorAll("[data-key]")) rows.set(e.dataset.key, e);

const list = document.querySelector("[data-list]");
const template = $("template");

function newRow(key) {
  const element = template.content.querySelector("[data-key]").cloneNode(true);
  element.dataset.key = key;
  list.append(element);
  rows.set(key, element);
  return element;
}

// busy reports whether somebody is about to use a row that is to show something else.
function busy(element, fields) {
  return element.dataset.id && fields.id && element.dataset.id !== fields.id && element.matches(":hover,:focus-within");
}

// order gives the list these rows, and keeps the nodes of those that it has.
function order(keys) {
  const wanted = new Set(keys);
  for (const e of [...list.children]) {
    if (wanted.has(e.dataset.key)) continue;
    rows.delete(e.dataset.key);
    e.remove();
  }
  let at = list.firstElementChild;
  for (const key of keys) {
    const e = rows.get(key) ?? newRow(key);
    if (e === at) at = at.nextElementSibling;
    else list.insertBefore(e, at);
  }
}

// What has come and is not shown yet: however much comes between two frames, each row is
// put once.
let pending = new Map();
let keys = null;
let asked = false;

function later() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(() => {
    asked = false;
    flush();
  });
}

function flush() {
  if (keys && list) order(keys);
  keys = null;
  const waiting = new Map();
  for (const [key, fields] of pending) {
    const element = rows.get(key) ?? (list && template ? newRow(key) : null);
    if (!element) continue;
    if (busy(element, fields)) waiting.set(key, fields);
    else put(element, fields);
  }
  pending = waiting;
  if (waiting.size > 0) setTimeout(later, 500);
}

// ---- The stream ----

const live = $("live");
let source = null;
let revision = "";
let again = 0;

// What is said is read aloud by screen readers, so it is little.
function say(text) {
  if ($("status").textContent !== text) $("status").textContent = text;
}

function connection(state, text) {
  live.className = "live " + state;
  if ($("live-text").textContent !== text) $("live-text").textContent = text;
}

function receive(event, state) {
  const m = JSON.parse(event.data);
  if (event.lastEventId) revision = event.lastEventId;
  ahead = m.now - Date.now();
  if (state && (m.order || m.empty)) {
    keys = m.order ?? [];
    pending.clear();
  }
  for (const { k, f } of m.rows ?? []) pending.set(k, f);
  if (m.say) say(m.say);
  if ($("news") && (state || m.news)) {
    $("news-text").textContent = m.news ?? "";
    $("news").classList.toggle("quiet", !m.news);
  }
  later();
}

function open() {
  if (source || !body.dataset.events || document.hidden) return;
  clearTimeout(again);
  const url = new URL(body.dataset.events, location.href);
  if (revision) url.searchParams.set("since", revision);
  source = new EventSource(url);
  source.addEventListener("state", (e) => {
    if (live.classList.contains("off")) say("Connected again.");
    connection("on", "live");
    receive(e, true);
  });
  source.addEventListener("change", (e) => receive(e, false));
  source.addEventListener("gone", () => {
    close();
    body.dataset.events = "";
    connection("off", "deleted");
    say("This cluster has been deleted.");
  });
  source.addEventListener("error", () => {
    connection("off", "not live");
    say("The connection to the registry is lost. Trying again.");
    if (source.readyState !== EventSource.CLOSED) return; // it tries again by itself
    close();
    again = setTimeout(open, 5000 + 5000 * Math.random());
  });
}

function close() {
  source?.close();
  source = null;
  clearTimeout(again);
}

// A browser has few connections to a server: pages that nobody sees leave theirs.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return close();
  open();
});
addEventListener("pagehide", close);
addEventListener("pageshow", open);

// ---- Copying ----

async function copy(id) {
  const text = $(id).textContent;
  try {
    await navigator.clipboard.writeText(text); // is there on loopback and with TLS only
    return "Copied.";
  } catch {
    getSelection().selectAllChildren($(id));
    return document.execCommand("copy") ? "Copied." : "Selected: copy it with Ctrl+C.";
  }
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", async () => {
    const said = await copy(button.dataset.copy);
    $("copied").textContent = said;
    say(said);
  });
}

// ---- Changes ----

const cluster = $("cluster");
const dialog = $("dialog");
let token = ""; // never kept anywhere but here
let deed = null;

// What an admin can do to a cluster, and what will happen then.
const deeds = {
  evict: (member) => ({
    title: `Evict ${member}?`,
    text: `${member} loses its seat in ${cluster.dataset.name}, and the other members are told. It may join again.`,
    label: "Evict", method: "DELETE", path: "/members/" + encodeURIComponent(member),
  }),
  ban: (member) => ({
    title: `Ban ${member}?`,
    text: `${member} loses its seat in ${cluster.dataset.name}, and its key may not become a member again.`,
    label: "Ban", method: "DELETE", path: "/members/" + encodeURIComponent(member) + "?ban=true",
  }),
  reopen: () => ({
    title: `Reopen ${cluster.dataset.name}?`,
    text: "All members lose their seats, and the cluster forms anew, in its next epoch.",
    label: "Reopen", method: "POST", path: "/reopen",
  }),
  delete: () => ({
    title: `Delete ${cluster.dataset.name}?`,
    text: "The cluster and all seats in it are gone for good. Its members stay connected to each other.",
    label: "Delete", method: "DELETE", path: "",
  }),
};

function ask(next) {
  deed = next;
  $("dialog-title").textContent = next.title;
  $("dialog-text").textContent = next.text;
  $("dialog-do").textContent = next.label;
  $("dialog-error").textContent = "";
  needToken(body.dataset.free === undefined && !token);
  dialog.showModal();
}

function needToken(need) {
  $("dialog-token").hidden = !need;
  $("token").required = need;
}

function request(d) {
  // What an admin has not seen is not changed.
  const headers = { "If-Match": cluster.dataset.etag };
  if (token) headers.Authorization = "Bearer " + token;
  const path = "/api/v1/clusters/" + encodeURIComponent(cluster.dataset.cluster) + d.path;
  return fetch(path, { method: d.method, headers, credentials: "same-origin" });
}

async function problemOf(answer) {
  try {
    const { detail, title } = await answer.json();
    return detail || title;
  } catch {
    return "The registry answers " + answer.status + ".";
  }
}

async function perform() {
  token = $("token").value.trim() || token;
  $("token").value = "";
  $("dialog-do").disabled = true;
  try {
    const answer = await request(deed);
    if (answer.ok) {
      dialog.close();
      if (!live.classList.contains("on")) say("Done."); // otherwise the stream says what has happened
      return;
    }
    $("dialog-error").textContent = await problemOf(answer);
    if (answer.status === 401 || answer.status === 403) {
      token = "";
      needToken(true);
    }
  } catch {
    $("dialog-error").textContent = "The registry cannot be reached.";
  } finally {
    $("dialog-do").disabled = false;
  }
}

if (dialog) {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-act]");
    if (button) ask(deeds[button.dataset.act](button.closest("[data-member]")?.dataset.member));
  });
  $("dialog-cancel").addEventListener("click", () => dialog.close());
  $("dialog-form").addEventListener("submit", (event) => {
    event.preventDefault();
    perform();
  });
}

setInterval(() => {
  if (!document.hidden) ages();
}, 1000);
open();
