// Moments as countdowns, by the server's clock: a browser whose clock is wrong still counts right.

const stamp = document.querySelector('meta[name="server-time"]')?.content;
let ahead = stamp ? Date.parse(stamp) - Date.now() : 0;

document.body.addEventListener("htmx:afterRequest", (event) => {
  const date = event.detail.xhr?.getResponseHeader("Date");
  const off = date ? Date.parse(date) - Date.now() - ahead : 0;
  // The header has whole seconds only: it corrects a clock that was set or slept, not one that is right.
  if (Math.abs(off) > 2000) ahead += off;
});

function span(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  const hours = Math.floor(seconds / 3600);
  if (hours < 48) return `${hours} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(hours / 24)} days`;
}

const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

function show(time, now) {
  const moment = Date.parse(time.dateTime);
  const seconds = (moment - now) / 1000;
  let text;
  if ("until" in time.dataset) text = seconds <= 0 ? "expired" : `${span(seconds)} left`;
  else if ("more" in time.dataset) text = seconds <= 0 ? "no more" : `for ${span(seconds)} more`;
  else if ("at" in time.dataset) text = seconds <= 0 ? "now" : `in ${span(seconds)}`;
  else text = -seconds < 5 ? "just now" : `${span(Math.max(0, -seconds))} ago`;
  if (time.textContent !== text) {
    time.textContent = text;
    time.title = exact.format(moment);
  }
}

function drain(ring, now) {
  const [from, until] = [Date.parse(ring.dataset.from), Date.parse(ring.dataset.until)];
  const left = Math.max(0, Math.min(100, Math.round((100 * (until - now)) / (until - from))));
  ring.querySelector(".ring__left").setAttribute("stroke-dasharray", `${left} 100`);
  ring.classList.toggle("ring--short", until - now < 15 * 60_000);
}

function showAll() {
  const now = Date.now() + ahead;
  for (const time of document.querySelectorAll("time[data-until], time[data-more], time[data-at], time[data-since]")) show(time, now);
  for (const ring of document.querySelectorAll("svg.ring[data-until]")) drain(ring, now);
}

showAll();
setInterval(showAll, 1000);
document.body.addEventListener("htmx:afterSwap", showAll);
