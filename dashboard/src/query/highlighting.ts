import { type EditorState, type Range, StateEffect, StateField } from "@codemirror/state";
import { Decoration, type DecorationSet, EditorView } from "@codemirror/view";
import classes from "./QueryLine.module.css";
import { type TokenKind, tokenize } from "./tokens";

/** Marks the place where the server found the query wrong; null takes the mark away. An edit takes it away too. */
export const markProblem = StateEffect.define<number | null>();

interface Marks {
  problemAt: number | null;
  decorations: DecorationSet;
}

const field = StateField.define<Marks>({
  create: (state) => marks(state, null),
  update(before, change) {
    let problemAt = change.docChanged ? null : before.problemAt;
    for (const effect of change.effects) if (effect.is(markProblem)) problemAt = effect.value;
    if (!change.docChanged && problemAt === before.problemAt) return before;
    return marks(change.state, problemAt);
  },
  provide: (self) => EditorView.decorations.from(self, (each) => each.decorations),
});

/** Colours by the kind of each token, and the line under a mistake. */
export const highlighting = field;

const BY_KIND = new Map<TokenKind | "problem", Decoration>();

function decoration(kind: TokenKind | "problem"): Decoration {
  const known = BY_KIND.get(kind) ?? Decoration.mark({ class: classes[`token-${kind}`] ?? "" });
  BY_KIND.set(kind, known);
  return known;
}

function marks(state: EditorState, problemAt: number | null): Marks {
  const text = state.doc.toString();
  const tokens = tokenize(text);
  const ranges: Range<Decoration>[] = tokens.map((each) => decoration(each.kind).range(each.from, each.to));
  if (problemAt !== null && text.length > 0) {
    const from = Math.min(problemAt, text.length - 1);
    const to = tokens.find((each) => each.from <= from && from < each.to)?.to ?? from + 1;
    ranges.push(decoration("problem").range(from, to));
  }
  return { problemAt, decorations: Decoration.set(ranges, true) };
}
