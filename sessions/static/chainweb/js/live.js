// Live parts: idiomorph lays a new version of a part over the old one, so that whatever has not changed keeps its focus. What
// only the browser knows is kept here.

// What a person has typed or chosen and not sent yet: the server's version knows nothing of it.
const isUnsent = {
  value: (field) => field.value !== field.defaultValue,
  checked: (box) => box.checked !== box.defaultChecked,
  selected: (option) => option.selected !== option.defaultSelected,
};

// Set by the browser or a script, never by the server: taking them over would close menus.
const isLocal = (name, node, change) => name === "open" || (name === "class" && change === "remove") || isUnsent[name]?.(node);

Object.assign(Idiomorph.defaults.callbacks, {
  beforeAttributeUpdated: (name, node, change) => !isLocal(name, node, change),
  beforeNodeMorphed(before, after) {
    if (before.nodeType !== Node.ELEMENT_NODE) return true;
    // times.js writes into a <time> what is left until its moment.
    const isSameMoment = before.nodeName === "TIME" && before.dateTime === after.dateTime;
    if (isSameMoment) after.replaceChildren(...before.cloneNode(true).childNodes);
    return !before.hasAttribute("data-keep");
  },
});

const lost = document.getElementById("lost");

const lostText = lost.textContent;

function tell(text) {
  lost.textContent = text;
  lost.hidden = false;
}

document.body.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, requestConfig } = event.detail;
  const asked = new URL(requestConfig.path, location.href).pathname;
  // Sent elsewhere: the login page is no part of this one.
  if (xhr.responseURL && new URL(xhr.responseURL).pathname !== asked) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});

document.body.addEventListener("htmx:responseError", (event) => {
  const { xhr, elt } = event.detail;
  // The session was deleted, or one's right to see it ended: the page says so itself.
  if ([403, 404].includes(xhr.status)) location.reload();
  else if (xhr.status === 429) tell("Too many requests. Try again in a moment.");
  else if (xhr.status >= 500 && !elt.closest("[data-keep]")) tell(lostText);
});
document.body.addEventListener("htmx:sendError", () => {
  tell(lostText);
});
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) lost.hidden = true;
});
