// Before the first paint, so that a page does not flash in the other scheme.
const scheme = localStorage.getItem("gmq.theme");
if (scheme === "light" || scheme === "dark") document.documentElement.dataset.theme = scheme;
