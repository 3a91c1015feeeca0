import classes from "./Flow.module.css";
import type { Box } from "./flow";

export function FlowBox({ box, area }: { box: Box; area: string }) {
  const isBad = box.figures.some((figure) => figure.bad);
  return (
    <section
      className={classes.box}
      style={{ gridArea: area }}
      data-box={box.id}
      data-bad={isBad}
      data-elsewhere={box.isElsewhere}
      aria-label={`${box.title}, ${box.about}`}
    >
      <h3 className={classes.title}>{box.title}</h3>
      <p className={classes.about}>{box.about}</p>
      <dl className={classes.figures}>
        {box.figures.map((figure) => (
          <div key={figure.label} className={classes.figure} data-bad={figure.bad === true}>
            <dt>{figure.label}</dt>
            <dd>{figure.value}</dd>
          </div>
        ))}
      </dl>
      {box.isElsewhere && (
        <p className={classes.elsewhere}>Runs in another process: its own /metrics has the rest.</p>
      )}
      {box.fill && <Fill {...box.fill} />}
    </section>
  );
}

/** Past this a place is nearly full. */
const FULL_SHARE = 0.8;

function Fill({ share, of }: { share: number; of: string }) {
  const percent = share > 0 && share < 0.01 ? "under 1" : String(Math.round(share * 100));
  return (
    <div className={classes.fill} data-full={share > FULL_SHARE}>
      <div className={classes.track}>
        <div className={classes.level} style={{ width: `${share * 100}%` }} />
      </div>
      <span>
        {percent} % {of}
      </span>
    </div>
  );
}
