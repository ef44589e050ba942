// The invitation's code stands behind the # of the link, where no log and no Referer sees it. It goes into the form and out of the address.

const form = document.getElementById("join-form");
const code = location.hash.slice(1);

if (form && code) {
  history.replaceState(null, "", location.pathname);
  form.elements.code.value = code;
  form.requestSubmit();
}
