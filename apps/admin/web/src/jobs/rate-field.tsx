import type { ReactNode } from "react";
import { Field, inputLook } from "../parts/field.js";

/** How fast a job may go at most, as text; empty: as fast as it goes. */
export function RateField({ rate, onChange }: { rate: string; onChange: (rate: string) => void }): ReactNode {
  return (
    <Field label="At most, records per second" hint="Empty: as fast as it goes">
      {(ids) => (
        <input
          {...ids}
          type="number"
          min={1}
          max={1_000_000}
          className={inputLook("w-44")}
          value={rate}
          onChange={(event) => onChange(event.target.value)}
        />
      )}
    </Field>
  );
}
