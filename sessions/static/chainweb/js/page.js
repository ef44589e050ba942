// Small things of every page: the colours' switch, menus that close, copying, the focus on the first field that is wrong.

const THEMES = { auto: "as the system", light: "light", dark: "dark" };
const root = document.documentElement;
const themeSwitch = document.getElementById("theme-switch");

function nameTheme() {
  const name = `Colours: ${THEMES[root.dataset.theme ?? "auto"]}`;
  themeSwitch.querySelector("[data-theme-name]").textContent = name;
  themeSwitch.title = name;
}

if (themeSwitch) {
  themeSwitch.hidden = false;
  nameTheme();
  themeSwitch.addEventListener("click", () => {
    const order = Object.keys(THEMES);
    const next = order[(order.indexOf(root.dataset.theme ?? "auto") + 1) % order.length];
    if (next === "auto") delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      localStorage.setItem("chainweb.theme", next);
    } catch {
      // Not remembered, but shown.
    }
    nameTheme();
  });
}

function closeMenus(but) {
  for (const menu of document.querySelectorAll("details.menu[open]")) {
    if (menu !== but) menu.open = false;
  }
}

document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  if (!open) return;
  open.open = false;
  open.querySelector("summary").focus();
});
document.addEventListener("focusin", (event) => closeMenus(event.target.closest("details.menu")));

async function copy(text) {
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(text);
    return;
  }
  // Over plain http to another machine there is no clipboard interface.
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}

// `data-copy` is the text itself; `data-copy-of` the selector of the element whose text it is.
document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy], [data-copy-of]");
  if (!button) return;
  await copy(button.dataset.copy ?? document.querySelector(button.dataset.copyOf).textContent);
  button.classList.add("copied");
  document.getElementById("said").textContent = "Copied.";
  setTimeout(() => button.classList.remove("copied"), 1500);
});

// Enter in a search of its own is no answer to the form around it.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.target.matches("[data-search]")) event.preventDefault();
});

const wrong = document.querySelector("[aria-invalid=true]");
const first = document.querySelector("[data-focus]") ?? document.querySelector("[data-form] .field :is(input, select)");
(wrong ?? first)?.focus();
