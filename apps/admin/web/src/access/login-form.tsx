import { type FormEvent, type ReactNode, useState } from "react";
import { Button } from "../parts/button.js";
import { Field, inputLook } from "../parts/field.js";
import { logIn, useLoginWays } from "./access-store.js";
import { ProviderLogin } from "./provider-login.js";

/** Every way in that this portal has. `again`: above a page that stays as it is. */
export function LoginForm({ again = false }: { readonly again?: boolean }): ReactNode {
  const { password, provider } = useLoginWays();
  return (
    <div className="flex flex-col gap-4">
      {provider !== undefined && <ProviderLogin label={provider} again={again} />}
      {provider !== undefined && password && <p className="text-center text-[13px] text-muted">or</p>}
      {password && <OwnLogin />}
    </div>
  );
}

/** Name and password, or a token. The field names are what password managers look for. */
function OwnLogin(): ReactNode {
  const [byToken, setByToken] = useState(false);
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string>();

  async function submit(event: FormEvent<HTMLFormElement>): Promise<void> {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const text = (name: string): string => String(form.get(name) ?? "");
    setBusy(true);
    setProblem(
      await logIn(byToken ? { token: text("token") } : { name: text("username"), password: text("password") }),
    );
    setBusy(false);
  }

  return (
    <form className="flex flex-col gap-4" onSubmit={(event) => void submit(event)}>
      {byToken ? (
        <Field label="Token">
          {(ids) => <input {...ids} name="token" type="password" autoComplete="off" required className={inputLook()} />}
        </Field>
      ) : (
        <>
          <Field label="Name">
            {(ids) => <input {...ids} name="username" autoComplete="username" required className={inputLook()} />}
          </Field>
          <Field label="Password">
            {(ids) => (
              <input
                {...ids}
                name="password"
                type="password"
                autoComplete="current-password"
                required
                className={inputLook()}
              />
            )}
          </Field>
        </>
      )}
      {problem !== undefined && (
        <p role="alert" className="rounded-md bg-bad-soft px-3 py-2 text-[13px] text-bad">
          {problem}
        </p>
      )}
      <div className="flex items-center justify-between gap-3">
        <Button look="primary" type="submit" disabled={busy}>
          Log in
        </Button>
        <Button look="quiet" onClick={() => setByToken(!byToken)}>
          {byToken ? "With name and password" : "With a token"}
        </Button>
      </div>
    </form>
  );
}
