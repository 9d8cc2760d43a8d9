/** Why a login by the provider came to nothing: the portal puts one of these words behind the page's address. */
const texts: Readonly<Record<string, string>> = {
  refused: "The login provider did not let you in.",
  begun: "This login was not begun in this browser, took too long or was used before. Begin again.",
  token: "What the login provider said of you does not hold. The portal's log says why.",
  role: "You have no role in this portal. Ask who runs it.",
  provider: "The login provider does not answer, or does not know this portal. Try again; the portal's log says why.",
  busy: "Too many logins failed from this address. Wait a minute.",
  defect: "The login failed by a defect of the portal. Its log has more.",
};

const found = /^#login-problem=([a-z]{1,20})$/.exec(window.location.hash)?.[1];
// Told once: it is not to be there again after a reload.
if (found !== undefined) window.history.replaceState(null, "", window.location.pathname + window.location.search);

/** What to tell, from when the page was opened. */
export function loginProblem(): string | undefined {
  return found === undefined ? undefined : (texts[found] ?? texts["defect"]);
}
