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

export const theme = createTheme({
  primaryColor: "water",
  primaryShade: { light: 7, dark: 7 },
  colors: { water },
  fontFamily: '"Inter Variable", system-ui, sans-serif',
  fontFamilyMonospace: '"JetBrains Mono Variable", ui-monospace, monospace',
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
});
