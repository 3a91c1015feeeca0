import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { get, put, type Schemas, send } from "../api/client";

export type Saved = Schemas["Saved"];
export type Kind = Saved["kind"];

/** What a page is asked to keep: its state as it stands in its address. */
export type Draft = Pick<Saved, "name" | "kind" | "state">;

export const NAME_CHARACTERS_MAX = 200;

const LIST = ["saved"];

export function getSaved(id: string, signal?: AbortSignal): Promise<Saved> {
  return get<Saved>(`/api/saved/${encodeURIComponent(id)}`, {}, signal);
}

/** All that is saved, the newest change first. */
export function useSavedList() {
  return useQuery({
    queryKey: LIST,
    queryFn: async ({ signal }) => (await get<Schemas["SavedList"]>("/api/saved", {}, signal)).saved,
    // Others save too; a visit to the page shows it as it is.
    staleTime: 0,
  });
}

function useSavedChange<Input, Output>(change: (input: Input) => Promise<Output>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => queries.invalidateQueries({ queryKey: LIST }),
  });
}

export function useCreateSaved() {
  return useSavedChange(({ name, kind, state }: Draft) =>
    put<Saved>("POST", "/api/saved", { name, kind, state }),
  );
}

export function useReplaceSaved() {
  return useSavedChange(({ id, name, kind, state }: Pick<Saved, "id"> & Draft) =>
    put<Saved>("PUT", `/api/saved/${encodeURIComponent(id)}`, { name, kind, state }),
  );
}

export function useDeleteSaved() {
  return useSavedChange((id: string) => send(`/api/saved/${encodeURIComponent(id)}`, { method: "DELETE" }));
}
