import { get, Problem, type Schemas, send } from "../api/client";

export type Letter = Schemas["DeadLetterSummary"];
export type WholeLetter = Schemas["DeadLetterWhole"];
export type LetterPage = Schemas["DeadLetterPage"];

const PAGE_LETTERS = 50;

export function listLetters(before: string | null, signal: AbortSignal): Promise<LetterPage> {
  return get("/api/dead-letters", { limit: PAGE_LETTERS, before }, signal);
}

export function readLetter(id: string, signal: AbortSignal): Promise<WholeLetter> {
  return get(`/api/dead-letters/${encodeURIComponent(id)}`, {}, signal);
}

export async function dropLetter(id: string): Promise<void> {
  await send(`/api/dead-letters/${encodeURIComponent(id)}`, { method: "DELETE" });
}

/** What is still wrong with a letter: the server's words, and each line that it cannot read. */
export interface Refusal {
  detail: string;
  errors: { line: number; reason: string }[];
}

/** Replays the letter as it is, or `mended` in its place. Throws `Problem` for all but a letter that is still wrong. */
export async function replayLetter(
  id: string,
  mended: string | null,
): Promise<Schemas["Replayed"] | Refusal> {
  let response: Response;
  try {
    response = await fetch(`/api/dead-letters/${encodeURIComponent(id)}/replay`, {
      method: "POST",
      ...(mended === null ? {} : { body: mended, headers: { "Content-Type": "application/octet-stream" } }),
    });
  } catch {
    throw new Problem(0, "The server does not answer. The letter is as it was; try again when it is back.");
  }
  const answer = (await response.json()) as Schemas["Replayed"] & Partial<Refusal>;
  if (response.ok) return answer;
  const detail = answer.detail ?? `${response.status} ${response.statusText}`;
  if (response.status === 400) return { detail, errors: answer.errors ?? [] };
  throw new Problem(response.status, detail);
}
