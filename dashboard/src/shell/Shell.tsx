import { ActionIcon, Group, Tooltip, useComputedColorScheme, useMantineColorScheme } from "@mantine/core";
import {
  IconBookmark,
  IconBroadcast,
  IconDatabase,
  IconHeartbeat,
  IconHelp,
  IconMoon,
  IconSearch,
  IconSun,
  IconTopologyStar3,
} from "@tabler/icons-react";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { useState } from "react";
import { page } from "../page";
import { Help } from "./Help";
import "./nonce";
import classes from "./Shell.module.css";
import { useShortcuts } from "./shortcuts";
import { useArrival } from "./useArrival";
import { useServer } from "./useServer";

const PAGES = [
  { to: "/", label: "Search", icon: IconSearch },
  { to: "/live", label: "Live", icon: IconBroadcast },
  { to: "/patterns", label: "Patterns", icon: IconTopologyStar3, feature: "patterns" },
  { to: "/sql", label: "SQL", icon: IconDatabase },
  { to: "/saved", label: "Saved", icon: IconBookmark },
  { to: "/system", label: "System", icon: IconHeartbeat },
] as const;

export function Shell() {
  const [helping, setHelping] = useState(false);
  const navigate = useNavigate();
  const location = useLocation();
  const server = useServer();
  const { title, content } = useArrival();
  const q = "q" in location.search ? String(location.search.q) : undefined;
  const query = q === undefined ? {} : { q };
  useShortcuts({
    "?": () => setHelping(true),
    l: () => void navigate({ to: "/live", search: query }),
    s: () => void navigate({ to: "/", search: query }),
  });
  return (
    <div className={classes.shell}>
      <a className={classes.skip} href="#content">
        Skip to the content
      </a>
      <header className={classes.bar}>
        <Link to="/" className={classes.brand} aria-label="Tailrace, to search">
          <img src="/icon.svg" width={24} height={24} alt="" />
          <span>Tailrace</span>
        </Link>
        <nav className={classes.pages} aria-label="Pages">
          {PAGES.filter((each) => !("feature" in each) || page.features.includes(each.feature)).map(
            (each) => (
              <Link
                key={each.to}
                to={each.to}
                className={classes.page}
                activeOptions={{ exact: each.to === "/", includeSearch: false }}
              >
                <each.icon size={17} stroke={1.7} aria-hidden />
                <span>{each.label}</span>
              </Link>
            ),
          )}
        </nav>
        <Group gap={4} wrap="nowrap" className={classes.tools}>
          <SchemeButton />
          <Tooltip label="Keys (?)">
            <ActionIcon variant="subtle" color="gray" onClick={() => setHelping(true)} aria-label="Keys">
              <IconHelp size={18} stroke={1.7} />
            </ActionIcon>
          </Tooltip>
        </Group>
      </header>
      <div className={classes.banner} role="status" data-away={server === "away"}>
        {server === "away" &&
          "The server does not answer. What is shown may be old; the page goes on when it is back."}
      </div>
      <main id="content" ref={content} className={classes.content} aria-label={title} tabIndex={-1}>
        <Outlet />
      </main>
      <Help opened={helping} close={() => setHelping(false)} />
    </div>
  );
}

function SchemeButton() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light", { getInitialValueInEffect: false }) === "dark";
  const label = dark ? "Light colours" : "Dark colours";
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        onClick={() => setColorScheme(dark ? "light" : "dark")}
        aria-label={label}
      >
        {dark ? <IconSun size={18} stroke={1.7} /> : <IconMoon size={18} stroke={1.7} />}
      </ActionIcon>
    </Tooltip>
  );
}
