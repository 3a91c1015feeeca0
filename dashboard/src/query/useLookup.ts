import { useQueryClient } from "@tanstack/react-query";
import { useMemo } from "react";
import { get, type Schemas } from "../api/client";
import { apiSpan, type TimeSpan } from "../time/range";
import { fieldName } from "./edit";
import type { Counted } from "./offers";

/** Asks the server what can be completed. An answer that fails is an empty one: typing goes on without it. */
export interface Lookup {
  fields(): Promise<Counted[]>;
  values(field: string, prefix: string): Promise<Counted[]>;
}

const VALUES_LIMIT = 50;
/** Fields whose values are not few, or are no words to choose from. */
const WITHOUT_VALUES = new Set(["message", "timestamp", "observed_timestamp"]);

export function useLookup(span: TimeSpan): Lookup {
  const queries = useQueryClient();
  return useMemo(() => {
    const range = apiSpan(span);
    async function topValues(field: string, q: string): Promise<Counted[]> {
      const answer = await queries.fetchQuery({
        queryKey: ["values to complete", field, q, range],
        queryFn: ({ signal }) =>
          get<Schemas["Values"]>(
            `/api/fields/${encodeURIComponent(field)}/values`,
            { ...range, q, limit: VALUES_LIMIT },
            signal,
          ),
        retry: false,
      });
      return answer.values.map((each) => ({ name: each.value, count: each.count }));
    }
    return {
      async fields() {
        try {
          const answer = await queries.fetchQuery({
            queryKey: ["fields to complete", range],
            queryFn: ({ signal }) => get<Schemas["Fields"]>("/api/fields", range, signal),
            retry: false,
          });
          return answer.fields;
        } catch {
          return [];
        }
      },
      async values(field, prefix) {
        if (WITHOUT_VALUES.has(field)) return [];
        try {
          const top = await topValues(field, "");
          // The rarer ones come with the first letters.
          const isAll = top.length < VALUES_LIMIT || field === "level" || !/^[\p{L}\p{N}_.-]+$/u.test(prefix);
          return isAll ? top : await topValues(field, `${fieldName(field)}:${prefix}*`);
        } catch {
          return [];
        }
      },
    };
  }, [queries, span]);
}
