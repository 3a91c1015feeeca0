import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

// `npm run dev` serves the sources here and asks a running `tailrace up` for everything else.
const SERVER = process.env.TAILRACE_URL ?? "http://127.0.0.1:8001";

export default defineConfig({
  plugins: [react()],
  build: { outDir: "dist", assetsInlineLimit: 0, sourcemap: false, modulePreload: { polyfill: false } },
  server: {
    proxy: { "/api": SERVER, "/logs": SERVER, "/docs": SERVER, "/metrics": SERVER, "/readyz": SERVER },
  },
  test: { include: ["src/**/*.test.{ts,tsx}"], environment: "happy-dom" },
});
