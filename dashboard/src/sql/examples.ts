/** Statements to begin with: each shows something that the query line cannot do. */
export const EXAMPLES = [
  {
    title: "Events per minute and level",
    query: `SELECT time_bucket(INTERVAL 1 minute, timestamp) AS minute, level, count(*) AS events
FROM logs
WHERE timestamp > now() - INTERVAL 1 hour
GROUP BY ALL
ORDER BY minute`,
  },
  {
    title: "Which services fail most",
    query: `SELECT service, count(*) AS events,
  count(*) FILTER (level IN ('ERROR', 'FATAL')) AS errors,
  round(100.0 * errors / events, 2) AS error_percent
FROM logs
WHERE timestamp > now() - INTERVAL 1 day
GROUP BY service
ORDER BY error_percent DESC`,
  },
  {
    title: "Slow requests: median and tail of an attribute",
    query: `SELECT service,
  count(*) AS requests,
  quantile_cont(TRY_CAST(attributes['latency_ms'] AS DOUBLE), 0.5) AS p50_ms,
  quantile_cont(TRY_CAST(attributes['latency_ms'] AS DOUBLE), 0.99) AS p99_ms
FROM logs
WHERE attributes['latency_ms'] IS NOT NULL
GROUP BY service
ORDER BY p99_ms DESC`,
  },
  {
    title: "The same message, again and again",
    query: `SELECT regexp_replace(message, '[0-9]+', '#', 'g') AS message,
  count(*) AS events, min(timestamp) AS first, max(timestamp) AS last
FROM logs
GROUP BY 1
ORDER BY events DESC
LIMIT 50`,
  },
  {
    title: "Traces that touch the most services",
    query: `SELECT trace_id, count(DISTINCT service) AS services, list(DISTINCT service) AS which,
  max(timestamp) - min(timestamp) AS took
FROM logs
WHERE trace_id IS NOT NULL
GROUP BY trace_id
ORDER BY services DESC
LIMIT 20`,
  },
  {
    title: "The columns of the table",
    query: "DESCRIBE logs",
  },
] as const;
