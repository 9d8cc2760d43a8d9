import { useNavigate } from "@tanstack/react-router";
import { type KeyboardEvent, type ReactNode, useId, useState } from "react";
import { useLive } from "../live/live-store.js";
import { Dialog } from "../parts/dialog.js";
import { inputLook } from "../parts/field.js";
import { setTheme } from "./theme.js";

interface Command {
  readonly kind: string;
  readonly name: string;
  run(): void;
}

const shownMax = 40;

/** Finds pages, topics, groups and acts by a few letters. */
export function CommandPalette({ onClose }: { readonly onClose: () => void }): ReactNode {
  const [text, setText] = useState("");
  const [chosen, setChosen] = useState(0);
  const listId = useId();
  const commands = useCommands();
  const found = matching(commands, text).slice(0, shownMax);
  const current = Math.min(chosen, found.length - 1);

  function run(command: Command | undefined): void {
    if (command === undefined) return;
    onClose();
    command.run();
  }

  function onKeyDown(event: KeyboardEvent): void {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step !== 0 && found.length > 0) {
      event.preventDefault();
      setChosen((current + step + found.length) % found.length);
    } else if (event.key === "Enter") {
      event.preventDefault();
      run(found[current]);
    }
  }

  return (
    <Dialog title="Find" onClose={onClose} titled={false}>
      <input
        role="combobox"
        aria-label="Find a topic, a group, a page or an act"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={found.length > 0 ? `${listId}-${current}` : undefined}
        placeholder="Topic, group, page or act…"
        className={`${inputLook()} mb-3 min-h-10 text-[15px]`}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setChosen(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div
        id={listId}
        role="listbox"
        aria-label="Found"
        tabIndex={-1}
        className="flex max-h-80 flex-col overflow-y-auto"
      >
        {found.map((command, index) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are on the input, which keeps the focus.
          <div
            key={`${command.kind} ${command.name}`}
            id={`${listId}-${index}`}
            role="option"
            tabIndex={-1}
            aria-selected={index === current}
            ref={index === current ? (element) => element?.scrollIntoView({ block: "nearest" }) : undefined}
            onClick={() => run(command)}
            className="flex cursor-pointer items-center gap-3 rounded-md px-2.5 py-1.5 text-[13px] hover:bg-raised aria-selected:bg-accent-soft"
          >
            <span className="w-14 shrink-0 text-xs text-muted">{command.kind}</span>
            <span className="truncate">{command.name}</span>
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="px-2 py-4 text-[13px] text-muted">Nothing is called like that.</p>}
    </Dialog>
  );
}

function useCommands(): Command[] {
  const navigate = useNavigate();
  const { topics, groups } = useLive();
  return [
    { kind: "page", name: "Overview", run: () => void navigate({ to: "/" }) },
    { kind: "page", name: "Topics", run: () => void navigate({ to: "/topics" }) },
    { kind: "page", name: "Groups", run: () => void navigate({ to: "/groups" }) },
    { kind: "page", name: "Dead letters", run: () => void navigate({ to: "/dead-letters" }) },
    { kind: "page", name: "Jobs", run: () => void navigate({ to: "/jobs" }) },
    { kind: "page", name: "Alerts", run: () => void navigate({ to: "/alerts" }) },
    { kind: "page", name: "Audit", run: () => void navigate({ to: "/audit" }) },
    { kind: "page", name: "Access", run: () => void navigate({ to: "/access" }) },
    { kind: "act", name: "Create a topic", run: () => void navigate({ to: "/topics", search: { create: "1" } }) },
    { kind: "theme", name: "Dark", run: () => setTheme("dark") },
    { kind: "theme", name: "Light", run: () => setTheme("light") },
    { kind: "theme", name: "As the system", run: () => setTheme("system") },
    ...[...topics.keys()].map((topic) => ({
      kind: "topic",
      name: topic,
      run: () => void navigate({ to: "/topics/$topic", params: { topic } }),
    })),
    ...[...groups.keys()].map((group) => ({
      kind: "group",
      name: group,
      run: () => void navigate({ to: "/groups/$group", params: { group } }),
    })),
  ];
}

/** All words have to be there; names that begin with the text come first. */
function matching(commands: readonly Command[], text: string): Command[] {
  const words = text.toLowerCase().split(/\s+/);
  const matches = commands.filter(({ kind, name }) => {
    const whole = `${kind} ${name}`.toLowerCase();
    return words.every((word) => whole.includes(word));
  });
  const starts = ({ name }: Command): number => (name.toLowerCase().startsWith(words[0] ?? "") ? 0 : 1);
  return matches.toSorted((left, right) => starts(left) - starts(right));
}
