import { expect, it } from "vitest";
import { offsetList } from "./offset-list.js";

it("writes offsets in order, with what follows one another as ranges", () => {
  expect(offsetList([])).toBe("");
  expect(offsetList([7n])).toBe("7");
  expect(offsetList([25n, 17n, 20n, 21n, 22n, 21n, 24n])).toBe("17,20-22,24-25");
  expect(offsetList([9007199254740993n, 9007199254740994n])).toBe("9007199254740993-9007199254740994");
});
