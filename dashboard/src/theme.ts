import { createTheme, type MantineColorsTuple } from "@mantine/core";

/** Deep water: the one accent. Shade 7 on white and 4 on the dark ground both pass 4.5:1. */
const water: MantineColorsTuple = [
  "#e6f7fb",
  "#d2ecf3",
  "#a3d8e6",
  "#71c3d9",
  "#4ab2cd",
  "#30a7c6",
  "#1d9bbb",
  "#0c7792",
  "#06667e",
  "#00556a",
];

/** The greys of the dark scheme, with the same blue in them as the page's own grounds. */
const dark: MantineColorsTuple = [
  "#e3eaed",
  "#c3ced4",
  "#9aabb4",
  "#6f818b",
  "#3b4c55",
  "#28353c",
  "#1b252a",
  "#141c20",
  "#0e1417",
  "#0a0f11",
];

/** A cross says nothing to those who do not see it. */
const CLOSE = { "aria-label": "Close" };

export const theme = createTheme({
  primaryColor: "water",
  primaryShade: { light: 7, dark: 7 },
  colors: { water, dark },
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, monospace',
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  components: {
    // A menu may hold nothing but its items; the placeholder is none. The keys of the menu work without it.
    Drawer: { defaultProps: { closeButtonProps: CLOSE } },
    Modal: { defaultProps: { closeButtonProps: CLOSE } },
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
  },
});
