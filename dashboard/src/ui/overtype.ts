import type { Extension } from "@codemirror/state";
import { EditorView } from "@codemirror/view";

/**
 * Text that is typed over a selection. Left to itself, Chromium gives it the colours of what was there as a style attribute,
 * which the content security policy refuses with an error in the console; so it is put in here, as any other change.
 */
export function overtype(): Extension {
  return EditorView.domEventHandlers({
    beforeinput(event, view) {
      const { from, to, empty } = view.state.selection.main;
      const text = event.data;
      if (event.inputType !== "insertText" || event.isComposing || empty || !text) return false;
      const insert = () =>
        view.state.update(view.state.replaceSelection(text), {
          userEvent: "input.type",
          scrollIntoView: true,
        });
      const handlers = view.state.facet(EditorView.inputHandler);
      if (!handlers.some((handle) => handle(view, from, to, text, insert))) view.dispatch(insert());
      event.preventDefault();
      return true;
    },
  });
}
