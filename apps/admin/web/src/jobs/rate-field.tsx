import { type ReactNode, useState } from "react";
import { Field, inputLook } from "../parts/field.js";
import { formatCount } from "../parts/format.js";

/** The portal's bound for every job, and `redriveRateMax` of a broker: a page does not load the limits of the whole protocol for it. */
const rateMax = 1_000_000;

/** A rate as it is typed. */
export interface Rate {
  readonly text: string;
  /** Records a second; 0: as fast as it goes, or what is typed is no rate. */
  readonly perSecond: number;
  /** What is wrong with what is typed. */
  readonly problem: string | undefined;
}

/** The rate that a text says; empty: no limit. */
export function rateOf(text: string): Rate {
  if (text === "") return { text, perSecond: 0, problem: undefined };
  const perSecond = Number(text);
  if (Number.isInteger(perSecond) && perSecond >= 1 && perSecond <= rateMax)
    return { text, perSecond, problem: undefined };
  return { text, perSecond: 0, problem: `A whole number from 1 to ${formatCount(rateMax)}` };
}

/** Keeps a rate that begins without a limit. */
export function useRate(): [Rate, (text: string) => void] {
  const [rate, setRate] = useState(rateOf(""));
  return [rate, (text) => setRate(rateOf(text))];
}

/** How fast a job may go at most. */
export function RateField({ rate, onChange }: { rate: Rate; onChange: (text: string) => void }): ReactNode {
  return (
    <Field label="At most, records per second" hint="Empty: as fast as it goes" problem={rate.problem}>
      {(ids) => (
        <input
          {...ids}
          inputMode="numeric"
          autoComplete="off"
          className={inputLook("w-44")}
          value={rate.text}
          onChange={(event) => onChange(event.target.value.trim())}
        />
      )}
    </Field>
  );
}
