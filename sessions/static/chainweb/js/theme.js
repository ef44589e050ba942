// Runs before the page is painted: the colours a person has chosen, else those of their system.
try {
  const theme = localStorage.getItem("chainweb.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // Storage is switched off: the system's colours it is.
}
