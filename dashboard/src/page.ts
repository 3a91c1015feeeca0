/** What the server wrote into the page: read once, no request of its own. */

interface Page {
  /** Tailrace's version. */
  version: string;
  /** Optional routes that this server has, such as "patterns". */
  features: string[];
}

function meta(name: string): string {
  return document.querySelector<HTMLMetaElement>(`meta[name="${name}"]`)?.content ?? "";
}

function read(): Page {
  try {
    return JSON.parse(meta("tailrace")) as Page;
  } catch {
    return { version: "dev", features: [] }; // Vite's own server fills nothing in
  }
}

export const page: Page = read();

/** Styles that scripts add carry it, or the content security policy refuses them. */
export const styleNonce: string = meta("csp-nonce");
