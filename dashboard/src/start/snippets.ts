/** How to send logs to this server from the tools that people have. Each does with what the server takes today. */

export interface Snippet {
  id: string;
  title: string;
  steps: Step[];
}

export interface Step {
  /** What to do, in a sentence. */
  say: string;
  code: string;
}

interface Address {
  /** `http://127.0.0.1:8001`, without a slash at the end. */
  origin: string;
  host: string;
  port: string;
  isSecure: boolean;
  /** The same as containers on this machine reach it. */
  fromContainer: string;
}

export function snippetsFor(origin: string): Snippet[] {
  const to = addressOf(origin);
  return [
    curl(to),
    python(to),
    tailraceSend(to),
    vector(to),
    fluentBit(to),
    filebeat(to),
    openTelemetry(to),
    syslog(to),
    docker(to),
  ];
}

const LOCAL = /^(localhost|127\.|\[::1\]|0\.0\.0\.0)/;

function addressOf(origin: string): Address {
  const { protocol, hostname, port } = new URL(origin);
  const isSecure = protocol === "https:";
  const number = port || (isSecure ? "443" : "80");
  const reached = LOCAL.test(hostname) ? "host.docker.internal" : hostname;
  return {
    origin,
    host: hostname,
    port: number,
    isSecure,
    fromContainer: `${protocol}//${reached}${port && `:${port}`}`,
  };
}

function curl({ origin }: Address): Snippet {
  return {
    id: "curl",
    title: "curl",
    steps: [
      {
        say: "One event:",
        code: `curl ${origin}/logs -d '{"level":"ERROR","service":"shop","message":"card declined","order":"A-7"}'`,
      },
      {
        say: "A file with one JSON object a line:",
        code: `curl ${origin}/logs -H 'Content-Type: application/x-ndjson' --data-binary @app.ndjson`,
      },
    ],
  };
}

function python({ origin }: Address): Snippet {
  return {
    id: "python",
    title: "Python",
    steps: [
      {
        say: "With the tailrace package in your program's environment, add its handler. It needs the standard library alone, and never holds the program up.",
        code: `import logging

from tailrace.handler import TailraceHandler

logging.basicConfig(level="INFO", handlers=[TailraceHandler("${origin}", service="shop")])

logging.info("order %s placed", "A-7", extra={"order": {"id": "A-7", "total": 49.9}})`,
      },
    ],
  };
}

function tailraceSend({ origin }: Address): Snippet {
  return {
    id: "send",
    title: "tailrace send",
    steps: [
      {
        say: "Log files, also compressed ones. Times and levels are read out of the lines:",
        code: `tailrace send --to ${origin} /var/log/*.log`,
      },
      {
        say: "And what is written from now on:",
        code: `tailrace send --to ${origin} --follow /var/log/app.log`,
      },
    ],
  };
}

function vector({ origin }: Address): Snippet {
  return {
    id: "vector",
    title: "Vector",
    steps: [
      {
        say: "vector.yaml:",
        code: `sources:
  app:
    type: file
    include: ["/var/log/app/*.log"]

transforms:
  named:
    type: remap
    inputs: [app]
    source: |
      .service = "app"

${httpSink(origin, "named")}`,
      },
    ],
  };
}

function httpSink(origin: string, input: string): string {
  return `sinks:
  tailrace:
    type: http
    inputs: [${input}]
    uri: ${origin}/logs
    method: post
    compression: gzip
    encoding:
      codec: json
    framing:
      method: newline_delimited`;
}

function fluentBit({ host, port, isSecure }: Address): Snippet {
  return {
    id: "fluent-bit",
    title: "Fluent Bit",
    steps: [
      {
        say: "fluent-bit.yaml:",
        code: `pipeline:
  inputs:
    - name: tail
      path: /var/log/app/*.log
  filters:
    - name: modify
      match: '*'
      add: service app
  outputs:
    - name: http
      match: '*'
      host: ${host}
      port: ${port}
      uri: /logs${isSecure ? "\n      tls: on" : ""}
      format: json_lines
      json_date_key: timestamp
      json_date_format: iso8601
      compress: gzip
      retry_limit: no_limits`,
      },
    ],
  };
}

function filebeat({ origin }: Address): Snippet {
  return {
    id: "filebeat",
    title: "Filebeat",
    steps: [
      {
        say: "It speaks to the server as to Elasticsearch, and needs nothing set up there. filebeat.yml:",
        code: `filebeat.inputs:
  - type: filestream
    id: app
    paths: ["/var/log/app/*.log"]
    fields_under_root: true
    fields:
      service.name: app

setup.ilm.enabled: false
setup.template.enabled: false

output.elasticsearch:
  hosts: ["${origin}"]`,
      },
    ],
  };
}

function openTelemetry({ origin }: Address): Snippet {
  return {
    id: "otel",
    title: "OpenTelemetry",
    steps: [
      {
        say: "In the collector's configuration:",
        code: `exporters:
  otlphttp/tailrace:
    endpoint: ${origin}

service:
  pipelines:
    logs:
      receivers: [otlp]
      exporters: [otlphttp/tailrace]`,
      },
      {
        say: "Or without a collector, for a program with an OpenTelemetry SDK:",
        code: `export OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=${origin}/v1/logs
export OTEL_EXPORTER_OTLP_LOGS_PROTOCOL=http/protobuf
export OTEL_SERVICE_NAME=shop`,
      },
    ],
  };
}

function syslog({ origin, host }: Address): Snippet {
  return {
    id: "syslog",
    title: "syslog",
    steps: [
      {
        say: "Start the server with its syslog port open, then tell rsyslog, in /etc/rsyslog.d/tailrace.conf:",
        code: `# tailrace up --set listeners.syslog_tcp=0.0.0.0:5514

*.* action(type="omfwd" target="${host}" port="5514" protocol="tcp"
           template="RSYSLOG_SyslogProtocol23Format" TCP_Framing="octet-counted"
           queue.type="LinkedList" queue.filename="tailrace" queue.saveOnShutdown="on"
           action.resumeRetryCount="-1")`,
      },
      {
        say: "Or, without rsyslog, from the journal:",
        code: `journalctl -f | tailrace send --to ${origin} -`,
      },
    ],
  };
}

function docker({ fromContainer }: Address): Snippet {
  const configuration = `sources:
  docker:
    type: docker_logs

transforms:
  named:
    type: remap
    inputs: [docker]
    source: |
      .service = .container_name

${httpSink(fromContainer, "named")}`;
  return {
    id: "docker",
    title: "Docker",
    steps: [
      {
        say: "The output of every container on a machine, with Vector. compose.yaml:",
        code: `services:
  vector:
    image: timberio/vector:latest-alpine
    command: ["--config", "/etc/vector/tailrace.yaml"]
    volumes: ["/var/run/docker.sock:/var/run/docker.sock:ro"]
    extra_hosts: ["host.docker.internal:host-gateway"]
    configs:
      - source: vector
        target: /etc/vector/tailrace.yaml

configs:
  vector:
    content: |
${configuration.replace(/^(?=.)/gm, "      ")}`,
      },
      ...(fromContainer.includes("host.docker.internal")
        ? [
            {
              say: "Containers reach this machine, but not its 127.0.0.1. Start the server so that they can (there is no password yet: not on an open network):",
              code: "tailrace up --listen 0.0.0.0:8001",
            },
          ]
        : []),
    ],
  };
}
