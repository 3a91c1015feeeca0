import { Problem, type Schemas } from "../api/client";

/** Whether every place can be used. That one cannot is an answer like any other. */
export async function askReadiness(signal: AbortSignal): Promise<Schemas["Ready"]> {
  const response = await fetch("/readyz", { signal });
  const answer = (await response.json()) as Partial<Schemas["Ready"]> & { detail?: string };
  if (answer.places === undefined) throw new Problem(response.status, answer.detail ?? response.statusText);
  return { ready: answer.ready === true, places: answer.places };
}
