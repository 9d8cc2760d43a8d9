/** The login as people meet it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryFolder } from "@gmq/e2e/harness/workspace";
import { hashPassword } from "@gmq/protocol/secrets";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";

const password = "correct horse battery";
let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let stage: Stage;

beforeAll(async () => {
  folder = await temporaryFolder();
  const path = join(folder.path, "portal.yaml");
  const hash = await hashPassword(password);
  const users = ["viewer", "operator", "admin"].map((role) => ({ name: role, password: hash, role }));
  await writeFile(path, JSON.stringify({ users }));
  stage = await setStage({ services: { adminArgs: ["--portal-access-file", path] }, orders: 20 });
});
afterAll(async () => {
  await stage?.stop();
  await folder.remove();
});

async function logIn(name: string, given = password) {
  const page = await stage.browser.open(stage.url("/topics"));
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(given);
  await page.getByRole("button", { name: "Log in" }).click();
  return page;
}

describe("the login", () => {
  it("shows nothing before, says what is wrong, and then who one is; logging out ends it", async () => {
    const page = await logIn("admin", "not the password");
    await page.getByRole("alert").getByText("is not right").waitFor();
    expect(await page.getByRole("link", { name: "Topics" }).count()).toBe(0);
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in" }).click();
    await page.getByRole("button", { name: "Create a topic" }).waitFor();
    await page.getByText("admin admin").waitFor();
    expect(await page.evaluate(() => document.cookie)).toBe("");
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    await page.reload();
    await page.getByLabel("Password").waitFor();
    await page.close();
  });

  it("offers a viewer no acts", async () => {
    const page = await logIn("viewer");
    await page.getByText("orders", { exact: true }).first().click();
    await page.getByText("viewer viewer").waitFor();
    await page.getByRole("link", { name: "Messages" }).first().waitFor();
    await expect.poll(() => page.getByRole("link", { name: "Produce" }).count()).toBe(0);
    expect(await page.getByRole("button", { name: /Delete|Create/ }).count()).toBe(0);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    await page.close();
  });

  it("comes back above the page when it is over, and what was typed is still there and goes through", async () => {
    const page = await logIn("operator");
    await page.getByText("operator operator").waitFor();
    await page.goto(stage.url("/topics/orders/produce"));
    const value = page.getByLabel("Value", { exact: true });
    await value.fill('{"typed":"before"}');
    await stage.browser.context.clearCookies();
    await page
      .getByRole("button", { name: /^Produce/ })
      .first()
      .click();
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    await page.getByLabel("Name").fill("operator");
    await page.getByLabel("Password").fill(password);
    await page.getByRole("button", { name: "Log in", exact: true }).click();
    await expect.poll(() => page.getByRole("heading", { name: "Log in again" }).count()).toBe(0);
    expect(await value.inputValue()).toBe('{"typed":"before"}');
    await page
      .getByRole("button", { name: /^Produce/ })
      .first()
      .click();
    await page.getByText("stored", { exact: true }).first().waitFor();
    await page.close();
  });
});
