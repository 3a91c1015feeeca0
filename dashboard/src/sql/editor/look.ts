import { HighlightStyle, syntaxHighlighting } from "@codemirror/language";
import { EditorView } from "@codemirror/view";
import { tags } from "@lezer/highlight";

const SYNTAX = HighlightStyle.define([
  { tag: tags.keyword, color: "var(--accent-text)", fontWeight: "600" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--good)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--level-info)" },
  { tag: tags.typeName, color: "var(--level-fatal)" },
  { tag: tags.standard(tags.name), color: "var(--level-warn)" },
  { tag: tags.comment, color: "var(--text-quiet)", fontStyle: "italic" },
]);

const FRAME = EditorView.theme({
  "&": { height: "100%", fontSize: "13.5px", color: "var(--text)", background: "var(--surface)" },
  "&.cm-focused": { outline: "none" },
  ".cm-scroller": { fontFamily: "var(--mantine-font-family-monospace)", lineHeight: "1.55" },
  ".cm-content": { padding: "8px 0", caretColor: "var(--text)" },
  ".cm-line": { padding: "0 12px 0 6px" },
  ".cm-gutters": {
    background: "var(--surface)",
    color: "var(--text-quiet)",
    border: "none",
    minWidth: "44px",
    justifyContent: "flex-end",
  },
  ".cm-activeLine, .cm-activeLineGutter": { background: "transparent" },
  "&.cm-focused .cm-activeLineGutter": { color: "var(--text)" },
  ".cm-cursor": { borderLeftColor: "var(--text)" },
  ".cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground": {
    background: "var(--surface-chosen)",
  },
  "&.cm-focused .cm-matchingBracket": {
    background: "var(--surface-chosen)",
    outline: "1px solid var(--accent)",
  },
  ".cm-placeholder": { color: "var(--text-quiet)" },
  ".cm-wrong": { textDecoration: "underline wavy var(--bad) 1.5px", textUnderlineOffset: "4px" },
  ".cm-tooltip": {
    background: "var(--surface-raised)",
    border: "1px solid var(--line-strong)",
    borderRadius: "6px",
    boxShadow: "var(--mantine-shadow-md)",
    overflow: "hidden",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul": {
    fontFamily: "var(--mantine-font-family-monospace)",
    fontSize: "13px",
    maxHeight: "260px",
  },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li": { padding: "3px 10px", lineHeight: "1.4" },
  ".cm-tooltip.cm-tooltip-autocomplete > ul > li[aria-selected]": {
    background: "var(--surface-chosen)",
    color: "var(--text)",
  },
  ".cm-completionDetail": { color: "var(--text-quiet)", fontStyle: "normal" },
  ".cm-completionMatchedText": { textDecoration: "none", fontWeight: "700", color: "var(--accent-text)" },
  ".cm-completionIcon": { display: "none" },
  ".cm-tooltip.cm-completionInfo": { padding: "6px 10px", maxWidth: "320px", marginLeft: "4px" },
});

export const look = [FRAME, syntaxHighlighting(SYNTAX)];
