import { page } from "../page";
import { CopyButton } from "../ui/Copy";
import { Arrivals } from "./Arrivals";
import { Snippets } from "./Snippets";
import classes from "./Start.module.css";
import { TryIt } from "./TryIt";
import { useArrivals } from "./useArrivals";

/** Stands in the snippets where this process takes no logs in. */
const SOME_GATEWAY = "http://gateway:8001";

/** The first run: where to send logs, how, and the first events as they arrive. */
export function StartPage() {
  const takesLogs = page.features.includes("ingest");
  const origin = takesLogs ? window.location.origin : SOME_GATEWAY;
  const arrived = useArrivals();
  return (
    <div className={classes.page}>
      <header>
        <h1 className={classes.title}>Send your first logs</h1>
        <p className={classes.lead}>
          Events go to this address with POST, as JSON. When the answer comes, they are on the disk, and can
          be found.
        </p>
        <div className={classes.address}>
          <code>{origin}/logs</code>
          <CopyButton text={`${origin}/logs`} label="Copy the address" />
        </div>
      </header>
      {takesLogs ? (
        <TryIt />
      ) : (
        <p className={classes.lead}>
          This process only answers queries. Logs go to a gateway: put its address in the place of
          gateway:8001.
        </p>
      )}
      <Arrivals arrived={arrived} />
      <section>
        <h2 className={classes.subtitle}>From your own programs and machines</h2>
        <Snippets origin={origin} />
      </section>
    </div>
  );
}
