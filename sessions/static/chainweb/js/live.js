// Live parts: a new version of a part is laid over the old one node by node, so that whatever has not changed stays
// untouched, with its focus, its open menus and what a person has on screen.

const KEEP = "data-keep";
// Set by the browser or a script, never by the server: taking them over would close menus.
const LOCAL = new Set(["open"]);

function sameKind(before, after) {
  return before.nodeType === after.nodeType && before.nodeName === after.nodeName && (before.id || "") === (after.id || "");
}

function takeAttributes(before, after) {
  for (const { name } of [...before.attributes]) {
    if (!after.hasAttribute(name) && !LOCAL.has(name) && name !== "class") before.removeAttribute(name);
  }
  for (const { name, value } of after.attributes) {
    if (before.getAttribute(name) !== value && !LOCAL.has(name)) before.setAttribute(name, value);
  }
}

function layOver(before, after) {
  if (before.nodeType !== Node.ELEMENT_NODE) {
    if (before.nodeValue !== after.nodeValue) before.nodeValue = after.nodeValue;
    return;
  }
  if (before.hasAttribute(KEEP)) return;
  const sameMoment = before.nodeName === "TIME" && before.dateTime === after.dateTime;
  takeAttributes(before, after);
  if (!sameMoment) layOverChildren(before, after);
}

function layOverChildren(before, after) {
  const byId = new Map([...before.children].filter((child) => child.id).map((child) => [child.id, child]));
  let next = before.firstChild;
  for (const wanted of [...after.childNodes]) {
    const known = wanted.id && byId.get(wanted.id);
    if (known && known !== next && known.parentNode === before) {
      // What stood before it and is wanted no more goes first, so that what stays need not be moved and keeps its focus.
      while (next && next !== known && !(next.id && after.querySelector(`:scope > #${CSS.escape(next.id)}`))) {
        const gone = next;
        next = next.nextSibling;
        gone.remove();
      }
      if (next !== known) before.insertBefore(known, next);
      else next = known;
    }
    const current = known && known.parentNode === before ? known : next;
    if (current && sameKind(current, wanted)) {
      next = current.nextSibling;
      layOver(current, wanted);
    } else {
      before.insertBefore(wanted, next);
    }
  }
  while (next) {
    const gone = next;
    next = next.nextSibling;
    gone.remove();
  }
}

htmx.defineExtension("morph", {
  isInlineSwap: (style) => style === "morph",
  handleSwap(style, target, fragment) {
    if (style !== "morph") return false;
    const wanted = fragment.firstElementChild ?? fragment;
    layOver(target, wanted);
    return [target];
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
  // Sent elsewhere: the log-in page is no part of this one.
  if (xhr.responseURL && new URL(xhr.responseURL).pathname !== asked) {
    event.detail.shouldSwap = false;
    location.reload();
  }
});

document.body.addEventListener("htmx:responseError", (event) => {
  const { xhr, elt } = event.detail;
  // The session was deleted, or one's right to see it ended: the page says so itself.
  if ([403, 404].includes(xhr.status)) location.reload();
  else if (xhr.status === 429) tell("That was too often. Try again in a moment.");
  else if (xhr.status >= 500 && !elt.closest("[data-keep]")) tell(lostText);
});
document.body.addEventListener("htmx:sendError", () => {
  tell(lostText);
});
document.body.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) lost.hidden = true;
});
