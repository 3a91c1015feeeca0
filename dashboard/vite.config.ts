import react from "@vitejs/plugin-react";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the sources here and asks a running `tailrace up` for everything else.
const SERVER = process.env.TAILRACE_URL ?? "http://127.0.0.1:8001";

/** The page's text is in one font file; asked for at once, it is there before the first text is drawn. */
const fontFirst: Plugin = {
  name: "font-first",
  transformIndexHtml: {
    order: "post",
    handler: (_, { bundle }) =>
      Object.keys(bundle ?? {})
        .filter((name) => /inter-latin-wght-normal.*\.woff2$/.test(name))
        .map((name) => ({
          tag: "link",
          attrs: { rel: "preload", as: "font", type: "font/woff2", href: `/${name}`, crossorigin: "" },
          injectTo: "head-prepend",
        })),
  },
};

export default defineConfig({
  plugins: [react(), fontFirst],
  build: { outDir: "dist", assetsInlineLimit: 0, sourcemap: false, modulePreload: { polyfill: false } },
  server: {
    proxy: {
      "/api": SERVER,
      "/logs": SERVER,
      "/docs": SERVER,
      "/metrics": SERVER,
      "/readyz": SERVER,
      "/healthz": SERVER,
    },
  },
  // Files that need a document say so: starting one takes longer than most tests.
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "node" },
});
