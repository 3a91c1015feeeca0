import {
  acceptCompletion,
  autocompletion,
  closeCompletion,
  moveCompletionSelection,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { EditorState, Prec } from "@codemirror/state";
import { EditorView, keymap, placeholder } from "@codemirror/view";
import { type RefObject, useEffect, useLayoutEffect, useRef } from "react";
import { styleNonce } from "../page";
import { overtype } from "../ui/overtype";
import { completionSource } from "./completion";
import { highlighting, markProblem } from "./highlighting";
import { readHistory, recall } from "./history";
import classes from "./QueryLine.module.css";
import type { Lookup } from "./useLookup";

export interface EditorHandle {
  focus(): void;
}

export interface QueryEditorProps {
  /** The text to begin with, and the text to show whenever it changes. */
  text: string;
  /** How the line that stood here before was left. */
  selection: { anchor: number; head: number };
  focused: boolean;
  /** Where the query is wrong, from 0 in UTF-16; null: nowhere. */
  problemAt: number | null;
  describedBy: string | undefined;
  hint: string;
  lookup: Lookup;
  submit(text: string): void;
  changed(text: string): void;
  handle: RefObject<EditorHandle | null>;
}

/** The query line with highlighting, completion and undo: one line of CodeMirror. */
export function QueryEditor(props: QueryEditorProps) {
  const place = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | null>(null);
  const latest = useRef(props);
  latest.current = props;
  const told = useRef<string[]>([props.text]);

  useLayoutEffect(() => {
    if (place.current === null) return;
    const { text, selection, focused, handle, hint } = latest.current;
    const made = new EditorView({
      parent: place.current,
      doc: oneLine(text),
      selection: clamp(selection, oneLine(text).length),
      extensions: [
        EditorView.cspNonce.of(styleNonce),
        EditorView.contentAttributes.of({
          "aria-label": "Query",
          spellcheck: "false",
          autocapitalize: "off",
          autocorrect: "off",
          enterkeyhint: "search",
        }),
        EditorView.clipboardInputFilter.of(oneLine),
        EditorState.transactionFilter.of((change) => (change.newDoc.lines > 1 ? [] : change)),
        placeholder(hint),
        history(),
        overtype(),
        highlighting,
        autocompletion({
          override: [completionSource(() => latest.current.lookup)],
          selectOnOpen: false,
          icons: false,
          maxRenderedOptions: 50,
          tooltipClass: () => classes.offers ?? "",
          optionClass: (each) => (each.type ? (classes[each.type] ?? "") : ""),
        }),
        Prec.highest(keymap.of([{ key: "Tab", run: acceptFirst }])),
        keymap.of([
          { key: "Enter", run: enter },
          { key: "ArrowUp", run: (each) => showRecalled(each, "older") },
          { key: "ArrowDown", run: (each) => showRecalled(each, "newer") },
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (!update.docChanged) return;
          told.current.push(update.state.doc.toString());
          latest.current.changed(update.state.doc.toString());
        }),
      ],
    });
    function enter(each: EditorView): boolean {
      closeCompletion(each);
      latest.current.submit(each.state.doc.toString());
      return true;
    }
    view.current = made;
    handle.current = { focus: () => made.focus() };
    if (focused) made.focus();
    return () => {
      handle.current = null;
      made.destroy();
    };
  }, []);

  useEffect(() => {
    // What comes back of what was told may be older than what is typed by now: only a text from elsewhere is taken.
    const echo = told.current.indexOf(props.text);
    if (echo >= 0) {
      told.current.splice(0, echo + 1);
    } else if (view.current) {
      setText(view.current, props.text);
      told.current = [];
    }
  }, [props.text]);
  useEffect(() => {
    view.current?.dispatch({ effects: markProblem.of(props.problemAt) });
  }, [props.problemAt]);
  useEffect(() => {
    const content = view.current?.contentDOM;
    content?.setAttribute("aria-invalid", String(props.describedBy !== undefined));
    if (props.describedBy) content?.setAttribute("aria-describedby", props.describedBy);
    else content?.removeAttribute("aria-describedby");
  }, [props.describedBy]);

  return <div ref={place} className={classes.editor} />;
}

/** Tab takes what is chosen, or the first; without offers it leaves the line, as everywhere. */
function acceptFirst(view: EditorView): boolean {
  if (acceptCompletion(view)) return true;
  return moveCompletionSelection(true)(view) && acceptCompletion(view);
}

function showRecalled(view: EditorView, direction: "older" | "newer"): boolean {
  const text = recall(readHistory(), view.state.doc.toString(), direction);
  if (text === null) return false;
  setText(view, text);
  return true;
}

function setText(view: EditorView, text: string): void {
  const line = oneLine(text);
  if (view.state.doc.toString() === line) return;
  view.dispatch({
    changes: { from: 0, to: view.state.doc.length, insert: line },
    selection: { anchor: line.length },
  });
}

function oneLine(text: string): string {
  return text.replace(/\s*[\r\n]+\s*/g, " ");
}

function clamp(selection: { anchor: number; head: number }, length: number) {
  return { anchor: Math.min(selection.anchor, length), head: Math.min(selection.head, length) };
}
