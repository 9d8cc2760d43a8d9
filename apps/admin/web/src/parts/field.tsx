import { type ComponentProps, type ReactNode, useId } from "react";

/** The shape of an input; its width is the place's business. */
const shape =
  "min-h-8 rounded-md border border-strong-line bg-panel px-2.5 py-1 text-[13px] text-ink placeholder:text-muted";

/** An input as wide as its place, or as another width class says. */
export function inputLook(width = "w-full"): string {
  return `${shape} ${width}`;
}

interface FieldProps {
  readonly label: string;
  readonly hint?: ReactNode;
  readonly problem?: string | undefined;
  readonly children: (ids: {
    readonly id: string;
    readonly "aria-describedby": string | undefined;
    readonly "aria-invalid": boolean | undefined;
  }) => ReactNode;
}

/** A labelled input; what is wrong with it is said beside it and read out with it. */
export function Field({ label, hint, problem, children }: FieldProps): ReactNode {
  const id = useId();
  const described = problem !== undefined || hint !== undefined;
  return (
    <div className="flex flex-col gap-1">
      <label htmlFor={id} className="text-[13px] font-medium">
        {label}
      </label>
      {children({
        id,
        "aria-describedby": described ? `${id}-hint` : undefined,
        "aria-invalid": problem === undefined ? undefined : true,
      })}
      {described && (
        <p id={`${id}-hint`} className={`text-xs ${problem === undefined ? "text-muted" : "text-bad"}`}>
          {problem ?? hint}
        </p>
      )}
    </div>
  );
}

/** A select of a few words. */
export function Select<Value extends string>({
  options,
  value,
  onChange,
  ...rest
}: Omit<ComponentProps<"select">, "onChange" | "value"> & {
  readonly options: readonly (readonly [value: Value, label: string])[];
  readonly value: Value;
  readonly onChange: (value: Value) => void;
}): ReactNode {
  return (
    <select
      {...rest}
      value={value}
      onChange={(event) => onChange(event.target.value as Value)}
      className={`${shape} pr-7`}
    >
      {options.map(([option, label]) => (
        <option key={option} value={option}>
          {label}
        </option>
      ))}
    </select>
  );
}
