import { type CompletionContext, type CompletionResult, startCompletion } from "@codemirror/autocomplete";
import { contextAt } from "./context";
import { type Offer, termOffers, valueOffers } from "./offers";
import type { Lookup } from "./useLookup";

/** CodeMirror's completion from what the server knows. */
export function completionSource(lookup: () => Lookup) {
  return async (asked: CompletionContext): Promise<CompletionResult | null> => {
    const context = contextAt(asked.state.doc.toString(), asked.pos);
    if (context === null) return null;
    const offers =
      context.kind === "term"
        ? termOffers(context, await lookup().fields())
        : valueOffers(context, await lookup().values(context.field, context.prefix));
    if (asked.aborted || offers.length === 0) return null;
    return {
      from: context.from,
      to: context.to,
      filter: false,
      options: offers.map((each) => ({
        label: each.label,
        detail: each.detail,
        type: each.kind,
        apply: (view, _, from, to) => {
          view.dispatch({
            changes: { from, to, insert: each.insert },
            selection: { anchor: from + each.insert.length },
            userEvent: "input.complete",
          });
          if (goesOn(each)) startCompletion(view);
        },
      })),
    };
  };
}

/** Behind a field its values follow, and behind an operator the next term. */
function goesOn(offer: Offer): boolean {
  return offer.kind === "field" || offer.insert.endsWith(" ");
}
