/** CodeMirror for SQL. Loaded when the SQL page is shown, and only then. */
import {
  acceptCompletion,
  autocompletion,
  closeBrackets,
  closeBracketsKeymap,
  closeCompletion,
  completionKeymap,
} from "@codemirror/autocomplete";
import { defaultKeymap, history, historyKeymap } from "@codemirror/commands";
import { SQLDialect } from "@codemirror/lang-sql";
import { bracketMatching } from "@codemirror/language";
import { EditorState, Prec, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLineGutter,
  keymap,
  lineNumbers,
  placeholder,
} from "@codemirror/view";
import { styleNonce } from "../../page";
import { overtype } from "../../ui/overtype";
import type { Place } from "../place";
import { completions } from "./completion";
import { look } from "./look";
import { FUNCTIONS, KEYWORDS, TYPES } from "./words";

const DUCKDB = SQLDialect.define({
  keywords: KEYWORDS,
  types: TYPES,
  builtin: Object.keys(FUNCTIONS).join(" "),
  doubleDollarQuotedStrings: true,
  caseInsensitiveIdentifiers: true,
  operatorChars: "*+-%<>!=&|^/~@:",
});

export interface EditorOptions {
  value: string;
  label: string;
  hint: string;
  changed: (value: string) => void;
  run: () => void;
  attributes: () => readonly string[];
}

export interface SqlEditor {
  /** Replaces everything, unless it is the same already. */
  setValue(value: string): void;
  /** Puts text where the cursor is, and the cursor behind it. */
  insert(text: string): void;
  /** Underlines the place of an error; the next change takes it away. */
  mark(place: Place | null): void;
  focus(): void;
  destroy(): void;
}

export function createEditor(parent: HTMLElement, options: EditorOptions): SqlEditor {
  const run = (shown: EditorView) => {
    closeCompletion(shown);
    options.run();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: options.value,
      extensions: [
        EditorView.cspNonce.of(styleNonce),
        EditorView.contentAttributes.of({ "aria-label": options.label }),
        EditorView.lineWrapping,
        lineNumbers(),
        highlightActiveLineGutter(),
        history(),
        drawSelection(),
        bracketMatching(),
        closeBrackets(),
        overtype(),
        autocompletion({ override: completions(DUCKDB, options.attributes), maxRenderedOptions: 60 }),
        DUCKDB.extension,
        placeholder(options.hint),
        marks,
        look,
        Prec.highest(keymap.of([{ key: "Mod-Enter", run }])),
        keymap.of([
          { key: "Tab", run: acceptCompletion },
          ...closeBracketsKeymap,
          ...completionKeymap,
          ...historyKeymap,
          ...defaultKeymap,
        ]),
        EditorView.updateListener.of((update) => {
          if (update.docChanged) options.changed(update.state.doc.toString());
        }),
      ],
    }),
  });
  return {
    setValue(value) {
      if (value === view.state.doc.toString()) return;
      view.dispatch({
        changes: { from: 0, to: view.state.doc.length, insert: value },
        selection: { anchor: value.length },
      });
    },
    insert(text) {
      view.dispatch(view.state.replaceSelection(text));
      view.focus();
    },
    mark(place) {
      view.dispatch({ effects: setMark.of(place) });
    },
    focus() {
      view.focus();
    },
    destroy() {
      view.destroy();
    },
  };
}

const setMark = StateEffect.define<Place | null>();
const wrong = Decoration.mark({ class: "cm-wrong" });

const marks = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(before, transaction) {
    for (const effect of transaction.effects) {
      if (effect.is(setMark)) return marked(effect.value, transaction.state.doc.length);
    }
    return transaction.docChanged ? Decoration.none : before;
  },
  provide: (field) => EditorView.decorations.from(field),
});

/** An error behind the end is marked on the last character, as nothing else can be underlined. */
function marked(place: Place | null, length: number): DecorationSet {
  if (!place || length === 0) return Decoration.none;
  const from = Math.min(place.from, length - 1);
  return Decoration.set([wrong.range(from, Math.min(Math.max(place.to, from + 1), length))]);
}
