import type { ReactNode, Ref } from "react";

/** A box that scrolls by itself. It takes the focus, so that the keyboard reaches what is outside of it. */
export function ScrollBox({
  label,
  className,
  children,
  ref,
}: {
  readonly label: string;
  readonly className: string;
  readonly children: ReactNode;
  readonly ref?: Ref<HTMLElement>;
}): ReactNode {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a box that scrolls has to be reached by keyboard.
    <section ref={ref} tabIndex={0} aria-label={label} className={`relative overflow-auto ${className}`}>
      {children}
    </section>
  );
}
