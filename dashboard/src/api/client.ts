import type { components } from "./schema";

export type Schemas = components["schemas"];
export type LogEvent = Schemas["Event"];

type Parameter = string | number | boolean | null | undefined;

/** What the server answered instead of what was asked for, in its own words. `status` 0: it did not answer. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    detail: string,
    /** Where in the query, counted from 1. */
    readonly column: number | null = null,
    readonly retryAfterS: number | null = null,
  ) {
    super(detail);
  }
}

/** `path` with `parameters`; empty ones are left out. */
export function url(path: string, parameters: Record<string, Parameter> = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.set(name, String(value));
  }
  const text = query.toString();
  return text ? `${path}?${text}` : path;
}

/** Throws `Problem`; an aborted request throws what `fetch` throws. */
export async function send(path: string, init: RequestInit = {}): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, init);
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem(0, "The server does not answer. The page goes on by itself when it is back.");
  }
  if (!response.ok) throw await problemOf(response);
  return response;
}

export async function get<T>(
  path: string,
  parameters?: Record<string, Parameter>,
  signal?: AbortSignal,
): Promise<T> {
  const response = await send(url(path, parameters), signal ? { signal } : {});
  return (await response.json()) as T;
}

export async function put<T>(
  method: "POST" | "PUT",
  path: string,
  body: unknown,
  signal?: AbortSignal,
): Promise<T> {
  const response = await send(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
    ...(signal ? { signal } : {}),
  });
  return (await response.json()) as T;
}

async function problemOf(response: Response): Promise<Problem> {
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    const problem = (await response.json()) as Schemas["Problem"];
    return new Problem(response.status, problem.detail, problem.column ?? null, retryAfter);
  } catch {
    return new Problem(response.status, `${response.status} ${response.statusText}`, null, retryAfter);
  }
}
