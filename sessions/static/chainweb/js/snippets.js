// Snippets: formats sorted by kind; one is shown on a click, copied, and gone again after its time, with the page, or by a press.

const REMEMBERED = "chainweb.formats";
const panel = document.getElementById("snippet");
const said = document.getElementById("said");
const groups = [...document.querySelectorAll("[data-group]")];
const formats = [...document.querySelectorAll("[data-format]")];
let clock;

function rowOf(tab) {
  return [...tab.closest("[role=tablist]").querySelectorAll("[role=tab]")];
}

// Each row of tabs is one stop of the Tab key: its chosen tab, or its first.
function choose(tabs, chosen) {
  for (const tab of tabs) tab.setAttribute("aria-selected", String(tab === chosen));
  for (const row of new Set(tabs.map((tab) => tab.closest("[role=tablist]")))) {
    const within = [...row.querySelectorAll("[role=tab]")];
    const stop = within.includes(chosen) ? chosen : within[0];
    for (const tab of within) tab.tabIndex = tab === stop ? 0 : -1;
  }
}

function showGroup(chosen) {
  choose(groups, chosen);
  for (const tab of groups) {
    document.getElementById(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
  }
}

function clear(why) {
  clearInterval(clock);
  const empty = document.createElement("p");
  empty.className = "snippet-panel__empty";
  empty.textContent = `${why} ${panel.dataset.again ?? "Choose a format above to see them again."}`;
  const hadFocus = panel.contains(document.activeElement);
  panel.replaceChildren(empty);
  const last = formats.find((tab) => tab.getAttribute("aria-selected") === "true");
  choose(formats, undefined);
  if (hadFocus) (last?.checkVisibility() ? last : panel).focus();
  said.textContent = why;
}

function countDown(snippet) {
  clearInterval(clock);
  const seconds = Number(snippet.dataset.clearAfter);
  if (!seconds) return;
  const end = performance.now() + seconds * 1000;
  const shown = snippet.querySelector("[data-seconds]");
  clock = setInterval(() => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left <= 0) clear("Hidden.");
    else shown.textContent = String(left);
  }, 250);
}

function moveInTabs(event) {
  if (!event.target.matches("[role=tab]")) return;
  const tabs = rowOf(event.target);
  const here = tabs.indexOf(event.target);
  const places = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 };
  if (!(event.key in places)) return;
  event.preventDefault();
  const next = tabs[(places[event.key] + tabs.length) % tabs.length];
  next.focus();
  if (groups.includes(next)) showGroup(next);
}

function remember(group) {
  try {
    localStorage.setItem(REMEMBERED, group.id);
  } catch {
    // Not remembered, but shown.
  }
}

function remembered() {
  try {
    return groups.find((tab) => tab.id === localStorage.getItem(REMEMBERED));
  } catch {
    return undefined;
  }
}

if (panel) {
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== panel) return;
    const asked = event.detail.requestConfig.elt;
    // What a worker has to narrow first is asked for again by the answer itself: the tab stays.
    if (formats.includes(asked)) {
      choose(formats, asked);
      const group = document.getElementById(asked.closest("[role=tabpanel]").getAttribute("aria-labelledby"));
      showGroup(group);
      remember(group);
    }
    const snippet = panel.querySelector("[data-snippet]");
    countDown(snippet);
    said.textContent = snippet.querySelector("pre") ? "The credentials are shown below." : snippet.textContent.trim();
  });
  document.body.addEventListener("htmx:responseError", (event) => {
    if (event.detail.target === panel) clear("The server refused the request.");
  });
  panel.addEventListener("click", (event) => {
    if (event.target.closest("[data-clear-snippet]")) clear("Hidden.");
  });
  const all = document.getElementById("snippets");
  all?.addEventListener("keydown", moveInTabs);
  all?.addEventListener("click", (event) => {
    const group = event.target.closest("[data-group]");
    if (group) showGroup(group);
  });
  const last = remembered();
  if (last) showGroup(last);
  // A page that came with them.
  const shown = panel.querySelector("[data-snippet]");
  if (shown) countDown(shown);
  addEventListener("pagehide", () => clear("Hidden."));
}
