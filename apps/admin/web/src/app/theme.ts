/** Which scheme the pages are in; `system` follows the machine. Kept in this browser; theme.js applies it before the first paint. */
export type Theme = "system" | "light" | "dark";

const key = "gmq.theme";

export function currentTheme(): Theme {
  const kept = localStorage.getItem(key);
  return kept === "light" || kept === "dark" ? kept : "system";
}

export function setTheme(theme: Theme): void {
  if (theme === "system") {
    localStorage.removeItem(key);
    delete document.documentElement.dataset["theme"];
  } else {
    localStorage.setItem(key, theme);
    document.documentElement.dataset["theme"] = theme;
  }
}
