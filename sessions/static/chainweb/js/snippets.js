// Snippets: shown on a click, copied, and gone again after their time, with the page, or by a press.

const panel = document.getElementById("snippet");
const said = document.getElementById("said");
const tabs = [...document.querySelectorAll("[role=tablist] [role=tab]")];
let clock;

function choose(chosen) {
  for (const tab of tabs) {
    tab.setAttribute("aria-selected", String(tab === chosen));
    tab.tabIndex = tab === (chosen ?? tabs[0]) ? 0 : -1;
  }
}

function clear(why) {
  clearInterval(clock);
  const empty = document.createElement("p");
  empty.className = "snippet-panel__empty";
  empty.textContent = `${why} Choose a form above to see them again.`;
  const hadFocus = panel.contains(document.activeElement);
  panel.replaceChildren(empty);
  const last = tabs.find((tab) => tab.getAttribute("aria-selected") === "true");
  choose(undefined);
  if (hadFocus) (last ?? panel).focus();
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
  const here = tabs.indexOf(event.target);
  const places = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: tabs.length - 1 };
  if (here < 0 || !(event.key in places)) return;
  event.preventDefault();
  tabs[(places[event.key] + tabs.length) % tabs.length].focus();
}

if (panel) {
  document.body.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target !== panel) return;
    choose(event.detail.requestConfig.elt);
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
  document.querySelector("[role=tablist]").addEventListener("keydown", moveInTabs);
  addEventListener("pagehide", () => clear("Hidden."));
}
