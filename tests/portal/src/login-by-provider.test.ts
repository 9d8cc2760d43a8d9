/** Login by an OpenID Connect provider as people meet it: a real provider, a real browser. */
import { startProvider, type TestProvider } from "@gmq/e2e/harness/oidc-provider";
import type { Page } from "playwright-core";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { type Stage, setStage } from "./stage/stage.js";

let provider: TestProvider;
let stage: Stage;

beforeAll(async () => {
  provider = await startProvider({
    ada: { groups: ["staff", "gmq-admins"] },
    omar: { groups: ["gmq-operators"] },
    gast: { groups: ["guests"] },
  });
  const adminArgs = [
    ...provider.portalArgs,
    "--oidc-label",
    "Example ID",
    "--oidc-roles-claim",
    "groups",
    "--oidc-roles",
    "gmq-admins=admin,gmq-operators=operator",
    "--oidc-logout",
    "yes",
  ];
  stage = await setStage({ services: { adminArgs }, orders: 20 });
  await provider.serve(stage.services.adminUrl);
});
afterAll(async () => {
  await stage?.stop();
  await provider?.stop();
});
beforeEach(() => stage.browser.context.clearCookies());

/** At the provider: who one is, and leave for the portal to know it. */
async function beAtProvider(page: Page, name: string): Promise<void> {
  await page.waitForURL(`${provider.issuer}/**`);
  await page.locator('input[name="login"]').fill(name);
  await page.locator('input[name="password"]').fill("any");
  await page.locator('button[type="submit"]').click();
  await page.locator('input[name="prompt"][value="consent"]').waitFor({ state: "attached" });
  await page.locator('button[type="submit"]').click();
}

async function logIn(name: string, path = "/topics"): Promise<Page> {
  const page = await stage.browser.open(stage.url(path));
  await page.getByRole("link", { name: "Log in with Example ID" }).click();
  await beAtProvider(page, name);
  return page;
}

describe("the login by a provider", () => {
  it("leads back to the page that was asked for, in the role of one's groups; logging out ends it at both", async () => {
    const page = await logIn("ada", "/topics/orders?tab=none");
    await page.getByText("ada admin").waitFor();
    expect(new URL(page.url()).pathname).toBe("/topics/orders");
    expect(await page.evaluate(() => document.cookie)).toBe("");
    const cookies = await stage.browser.context.cookies(stage.services.adminUrl);
    expect(cookies.map(({ name, sameSite, httpOnly }) => [name, sameSite, httpOnly])).toContainEqual([
      "gmq-portal",
      "Strict",
      true,
    ]);
    expect(cookies.some(({ name }) => name === "gmq-portal-login")).toBe(false);
    await page.getByRole("button", { name: "Log out" }).click();
    await page.waitForURL(`${provider.issuer}/**`);
    await page.getByRole("button", { name: /yes/i }).click();
    await page.getByRole("link", { name: "Log in with Example ID" }).waitFor();
    expect(page.url()).toBe(`${stage.services.adminUrl}/`);
    // The provider asks again who one is.
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    await page.locator('input[name="login"]').waitFor();
    await page.close();
  });

  it("offers an operator what operators may", async () => {
    const page = await logIn("omar", "/topics/orders/produce");
    await page.getByText("omar operator").waitFor();
    await page.getByLabel("Value", { exact: true }).waitFor();
    await page.goto(stage.url("/topics"));
    await page.getByText("omar operator").waitFor();
    await expect.poll(() => page.getByRole("button", { name: "Create a topic" }).count()).toBe(0);
    await page.close();
  });

  it("tells who has no role that he has none, once, and nothing of the portal", async () => {
    const page = await logIn("gast");
    await page.getByRole("alert").getByText("You have no role in this portal").waitFor();
    expect(await page.getByRole("link", { name: "Topics" }).count()).toBe(0);
    expect(new URL(page.url()).hash).toBe("");
    await page.reload();
    await page.getByRole("link", { name: "Log in with Example ID" }).waitFor();
    expect(await page.getByRole("alert").count()).toBe(0);
    await page.close();
  });

  it("tells who turns back at the provider, and who comes with another's login", async () => {
    const page = await stage.browser.open(stage.url("/topics"));
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    await page.waitForURL(`${provider.issuer}/**`);
    await page.getByRole("link", { name: /cancel/i }).click();
    await page.getByRole("alert").getByText("did not let you in").waitFor();
    await page.goto(stage.url("/access/oidc/callback?code=stolen&state=another"));
    await page.getByRole("alert").getByText("was not begun in this browser").waitFor();
    await page.close();
  });

  it("happens in another tab when it is over, and what was typed is still there and goes through", async () => {
    const page = await logIn("omar", "/topics/orders/produce");
    await page.getByText("omar operator").waitFor();
    const value = page.getByLabel("Value", { exact: true });
    await value.fill('{"typed":"before"}');
    const produce = page.getByRole("button", { name: /^Produce/ }).first();
    await stage.browser.context.clearCookies();
    await produce.click();
    await page.getByRole("heading", { name: "Log in again" }).waitFor();
    const opened = stage.browser.context.waitForEvent("page");
    await page.getByRole("link", { name: "Log in with Example ID" }).click();
    const other = await opened;
    await beAtProvider(other, "omar");
    await other.getByText("omar operator").waitFor();
    await expect.poll(() => page.getByRole("heading", { name: "Log in again" }).count()).toBe(0);
    expect(await value.inputValue()).toBe('{"typed":"before"}');
    await produce.click();
    await page.getByText("stored", { exact: true }).first().waitFor();
    await other.close();
    await page.close();
  });
});
