// The keyboard: single letters wherever nothing is being typed, arrows within a list.

const dialog = document.getElementById("keys");
const switchedOn = document.getElementById("keys-on");

try {
  switchedOn.checked = localStorage.getItem("chainweb.keys") !== "off";
} catch {
  // On, then.
}
switchedOn.addEventListener("change", () => {
  try {
    localStorage.setItem("chainweb.keys", switchedOn.checked ? "on" : "off");
  } catch {
    // Until the page is left, then.
  }
});

for (const button of document.querySelectorAll("[data-open-keys]")) button.addEventListener("click", () => dialog.showModal());

function isTyping(element) {
  return element.closest("input:not([type=checkbox]), select, textarea, [contenteditable], dialog[open]") !== null;
}

function press(selector, near) {
  const place = near.closest("[data-row]") ?? document.querySelector(".session__head");
  place?.querySelector(selector)?.click();
}

const LETTERS = {
  "/": () => document.getElementById("search")?.focus(),
  n: () => document.getElementById("new-session")?.click(),
  s: (element) => press("[data-toggle]", element),
  r: (element) => press("[data-rotate]", element),
  "?": () => dialog.showModal(),
};

function moveInList(event) {
  const links = [...document.querySelectorAll("[data-row-link], [data-list] a")];
  if (!links.length) return;
  const row = event.target.closest("[data-row], [data-list] li");
  const here = row ? links.findIndex((link) => row.contains(link)) : -1;
  const places = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: links.length - 1 };
  if (here < 0 && event.key !== "ArrowDown") return;
  if (here === 0 && event.key === "ArrowUp") document.getElementById("search")?.focus();
  else links[Math.min(places[event.key], links.length - 1)].focus();
  event.preventDefault();
}

// Along a picture of bars, each of which is a link.
function moveAlong(event, bar) {
  const bars = [...bar.closest("svg").querySelectorAll("a")];
  const here = bars.indexOf(bar);
  const places = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: bars.length - 1 };
  const place = places[event.key];
  if (place === undefined) return;
  bars[Math.max(0, Math.min(place, bars.length - 1))].focus();
  event.preventDefault();
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  const bar = event.target.closest("svg.timeline a");
  if (bar) moveAlong(event, bar);
  if (event.defaultPrevented) return;
  const inSearch = event.target.id === "search";
  if (["ArrowDown", "ArrowUp", "Home", "End"].includes(event.key)) {
    const inTabs = event.target.closest("[role=tablist]");
    if (inTabs || (isTyping(event.target) && !(inSearch && event.key === "ArrowDown"))) return;
    moveInList(event);
  } else if (inSearch && event.key === "Escape" && event.target.value === "") {
    event.target.blur();
  } else if (!isTyping(event.target) && switchedOn.checked && Object.hasOwn(LETTERS, event.key)) {
    event.preventDefault();
    LETTERS[event.key](event.target);
  }
});
