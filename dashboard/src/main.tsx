import "@mantine/core/styles.css";
import "@fontsource-variable/inter/wght.css";
import "@fontsource-variable/jetbrains-mono/wght.css";
import "./theme.css";
import { MantineProvider } from "@mantine/core";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { RouterProvider } from "@tanstack/react-router";
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Problem } from "./api/client";
import { styleNonce } from "./page";
import { router } from "./routes";
import { theme } from "./theme";

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // A wrong query stays wrong; a server that is away, or has too much to do, is asked again.
      retry: (count, error) => error instanceof Problem && [0, 429, 503].includes(error.status) && count < 2,
      staleTime: 60_000,
      refetchOnWindowFocus: false,
    },
  },
});

// A page that was left open while the server was upgraded asks for files that are gone. It is read anew, once: when the
// files are still not there, the error is shown.
window.addEventListener("vite:preloadError", (event) => {
  const READ_ANEW = "tailrace-read-anew";
  if (Date.now() - Number(sessionStorage.getItem(READ_ANEW)) < 10_000) return;
  sessionStorage.setItem(READ_ANEW, String(Date.now()));
  event.preventDefault();
  window.location.reload();
});

const root = document.getElementById("root");
if (root === null) throw new Error("the page has no #root");
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => styleNonce}>
      <QueryClientProvider client={queries}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
