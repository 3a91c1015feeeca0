import { type Ref, useEffect, useImperativeHandle, useRef, useState } from "react";
import type { Place } from "../place";
import type { SqlEditor } from "./create";
import classes from "./Editor.module.css";

export interface EditorHandle {
  insert(text: string): void;
  focus(): void;
}

interface EditorProps {
  value: string;
  changed: (value: string) => void;
  run: () => void;
  /** Where the last run failed. */
  wrong: Place | null;
  attributes: readonly string[];
  ref?: Ref<EditorHandle>;
}

const LABEL = "SQL statement";
const HINT = "SELECT … FROM logs";

/** A plain text area of the same size until the editor is loaded; it works just as well. */
export function Editor({ value, changed, run, wrong, attributes, ref }: EditorProps) {
  const host = useRef<HTMLDivElement>(null);
  const area = useRef<HTMLTextAreaElement>(null);
  const [editor, setEditor] = useState<SqlEditor | null>(null);
  // The editor is made once and asks for what is current.
  const current = useRef({ value, changed, run, attributes });
  useEffect(() => {
    current.current = { value, changed, run, attributes };
  });

  useEffect(() => {
    let made: SqlEditor | null = null;
    let left = false;
    async function load() {
      const { createEditor } = await import("./create");
      if (left || !host.current) return;
      const wasTyping = document.activeElement === area.current;
      made = createEditor(host.current, {
        value: current.current.value,
        label: LABEL,
        hint: HINT,
        changed: (text) => current.current.changed(text),
        run: () => current.current.run(),
        attributes: () => current.current.attributes,
      });
      setEditor(made);
      if (wasTyping) made.focus();
    }
    load().catch(() => undefined); // the text area stays
    return () => {
      left = true;
      made?.destroy();
    };
  }, []);

  useEffect(() => editor?.setValue(value), [editor, value]);
  useEffect(() => editor?.mark(wrong), [editor, wrong]);

  useImperativeHandle(
    ref,
    () => ({
      insert: (text) => (editor ? editor.insert(text) : changed(`${value}${text}`)),
      focus: () => (editor ? editor.focus() : area.current?.focus()),
    }),
    [editor, value, changed],
  );

  return (
    <div className={classes.editor} ref={host}>
      {!editor && (
        <textarea
          ref={area}
          className={classes.area}
          aria-label={LABEL}
          placeholder={HINT}
          spellCheck={false}
          value={value}
          onChange={(event) => changed(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
            event.preventDefault();
            run();
          }}
        />
      )}
    </div>
  );
}
