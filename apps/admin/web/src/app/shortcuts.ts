import { useEffect } from "react";

/** The pages of the main navigation. */
export type MainPath = "/" | "/topics" | "/groups" | "/dead-letters" | "/jobs" | "/alerts" | "/audit" | "/access";

/** What keys do, on every page. */
export interface ShortcutActs {
  openPalette(): void;
  openHelp(): void;
  goTo(path: MainPath): void;
}

const jumps: Readonly<Record<string, MainPath>> = {
  o: "/",
  t: "/topics",
  g: "/groups",
  d: "/dead-letters",
  j: "/jobs",
  l: "/alerts",
  a: "/audit",
  w: "/access",
};
const jumpMs = 1_200;

/** The keys, as the help shows them. */
export const shortcuts: readonly (readonly [keys: string, act: string])[] = [
  ["Ctrl K", "find a topic, a group, a page or an act"],
  ["/", "filter what the page lists"],
  ["g o", "go to the overview"],
  ["g t", "go to the topics"],
  ["g g", "go to the groups"],
  ["g d", "go to the dead letters"],
  ["g j", "go to the jobs"],
  ["g l", "go to the alerts"],
  ["g a", "go to the audit"],
  ["g w", "go to who may do what"],
  ["?", "this help"],
  ["Esc", "close a dialog"],
];

/** Listens to the keys while the component is there; keys that are typed into an input stay there. */
export function useShortcuts(acts: ShortcutActs): void {
  useEffect(() => {
    let jumpUntil = 0;
    function onKey(event: KeyboardEvent): void {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        acts.openPalette();
        return;
      }
      const target = event.target as HTMLElement | null;
      const isTyping = target?.closest("input, textarea, select, dialog") !== null && target !== null;
      if (isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      const jump = event.timeStamp < jumpUntil ? jumps[event.key] : undefined;
      jumpUntil = 0;
      if (jump !== undefined) acts.goTo(jump);
      else if (event.key === "g") jumpUntil = event.timeStamp + jumpMs;
      else if (event.key === "?") acts.openHelp();
      else if (event.key === "/") {
        const filter = document.querySelector<HTMLInputElement>("[data-filter]");
        if (filter === null) return;
        event.preventDefault();
        filter.focus();
      }
    }
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [acts]);
}
