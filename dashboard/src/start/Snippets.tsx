import { Tabs } from "@mantine/core";
import { useState } from "react";
import { CopyButton } from "../ui/Copy";
import classes from "./Start.module.css";
import { type Snippet, snippetsFor } from "./snippets";

/** How to send logs here, tool by tool. */
export function Snippets({ origin }: { origin: string }) {
  const [snippets] = useState<Snippet[]>(() => snippetsFor(origin));
  return (
    <Tabs defaultValue="curl" keepMounted={false} classNames={{ list: classes.tools ?? "" }}>
      <Tabs.List aria-label="Tools">
        {snippets.map(({ id, title }) => (
          <Tabs.Tab key={id} value={id}>
            {title}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      {snippets.map(({ id, title, steps }) => (
        <Tabs.Panel key={id} value={id} className={classes.steps}>
          {steps.map(({ say, code }) => (
            <section key={say}>
              <p className={classes.say}>{say}</p>
              <div className={classes.code}>
                {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reached by keys */}
                <pre tabIndex={0}>{code}</pre>
                <span className={classes.copy}>
                  <CopyButton text={code} label={`Copy for ${title}`} />
                </span>
              </div>
            </section>
          ))}
        </Tabs.Panel>
      ))}
    </Tabs>
  );
}
