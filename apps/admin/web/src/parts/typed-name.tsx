import type { ReactNode } from "react";
import { Field, inputLook } from "./field.js";

interface TypedNameProps {
  /** What has to be typed. */
  readonly name: string;
  readonly hint?: ReactNode;
  readonly value: string;
  readonly onChange: (value: string) => void;
}

/** The input that wants a name typed before something is destroyed; what is allowed when it matches is its owner's. */
export function TypedName({ name, hint, value, onChange }: TypedNameProps): ReactNode {
  return (
    <Field label={`Type ${name} to confirm`} hint={hint}>
      {(ids) => (
        <input
          {...ids}
          autoComplete="off"
          spellCheck={false}
          className={`${inputLook()} font-mono`}
          value={value}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
