/** Works a page as somebody does who has no mouse: Tab to go, keys to act. Nothing is focused or clicked by the test itself. */
import type { Locator, Page } from "playwright-core";
import { expect } from "vitest";

export interface Keyboard {
  /** Goes to an element by Tab. @throws when it cannot be reached so, or when the focus cannot be seen there */
  goTo(target: Locator): Promise<void>;
  /** Goes to it and presses Enter. */
  press(target: Locator): Promise<void>;
  /** Goes to a box and presses Space. */
  tick(target: Locator): Promise<void>;
  /** Goes to a field, replaces what is in it and goes on typing. */
  type(target: Locator, text: string): Promise<void>;
  /** Goes to a select and takes the option that begins like this. */
  choose(target: Locator, option: string): Promise<void>;
}

/** More than any page has between two places, once around. */
const stepsMax = 200;

export function keyboardOf(page: Page): Keyboard {
  const { keyboard } = page;
  const isFocused = (target: Locator): Promise<boolean> =>
    target.evaluate((element) => element === document.activeElement);

  async function goTo(target: Locator): Promise<void> {
    await target.waitFor();
    await expect.poll(() => target.isEnabled(), { timeout: 30_000 }).toBe(true);
    for (let step = 0; step < stepsMax; step++) {
      if (await isFocused(target)) {
        await expectVisibleFocus(target);
        return;
      }
      await keyboard.press("Tab");
    }
    throw new Error(`not reached by Tab: ${target.toString()}`);
  }

  return {
    goTo,
    async press(target) {
      await goTo(target);
      await keyboard.press("Enter");
    },
    async tick(target) {
      await goTo(target);
      await keyboard.press("Space");
    },
    async type(target, text) {
      await goTo(target);
      await keyboard.press("Control+a");
      await keyboard.type(text);
    },
    async choose(target, option) {
      await goTo(target);
      await keyboard.type(option);
      await expect
        .poll(() => target.evaluate((select) => (select as HTMLSelectElement).selectedOptions[0]?.textContent ?? ""))
        .toContain(option);
    },
  };
}

/** Somebody who goes by Tab has to see where he is: an outline or a shadow around the element. */
async function expectVisibleFocus(target: Locator): Promise<void> {
  const look = await target.evaluate((element) => {
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(element);
    return { outline: outlineStyle !== "none" && Number.parseFloat(outlineWidth) > 0, shadow: boxShadow !== "none" };
  });
  expect(look.outline || look.shadow, `no focus to see at ${target.toString()}`).toBe(true);
}
