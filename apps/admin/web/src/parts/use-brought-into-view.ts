import { type RefObject, useEffect, useRef } from "react";

/**
 * For a panel beside a list: in a window too narrow for both it stands below, and choosing a row would change nothing that is seen. It is scrolled to when `shown`
 * becomes another and it begins in the last quarter of the window or below. Its height has to allow for that before its content is there.
 */
export function useBroughtIntoView(shown: string | undefined): RefObject<HTMLElement | null> {
  const panel = useRef<HTMLElement>(null);
  useEffect(() => {
    if (shown === undefined || panel.current === null) return;
    if (panel.current.getBoundingClientRect().top > innerHeight * 0.75)
      panel.current.scrollIntoView({ block: "start" });
  }, [shown]);
  return panel;
}
