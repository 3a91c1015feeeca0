import { expect, test } from "vitest";
import { snippetsFor } from "./snippets";

const codeOf = (origin: string) =>
  snippetsFor(origin).map((snippet) => snippet.steps.map((step) => step.code).join("\n"));

test("every tool is told the address of this very server", () => {
  for (const code of codeOf("http://logs.example:8001")) {
    expect(code).toContain("logs.example");
    expect(code).not.toContain("undefined");
  }
});

test("tools that take host and port apart get the usual port and TLS of an https address", () => {
  const code = codeOf("https://logs.example").join("\n");
  expect(code).toContain("host: logs.example\n      port: 443\n      uri: /logs\n      tls: on");
  expect(code).toContain("endpoint: https://logs.example\n");
});

test("containers do not look for the server in themselves", () => {
  const docker = snippetsFor("http://127.0.0.1:8001").find((snippet) => snippet.id === "docker");
  expect(docker?.steps[0]?.code).toContain("uri: http://host.docker.internal:8001/logs");
  expect(docker?.steps).toHaveLength(2);
  const remote = snippetsFor("http://logs.example:8001").find((snippet) => snippet.id === "docker");
  expect(remote?.steps).toHaveLength(1);
});

test("no line of a configuration is indented by tabs", () => {
  expect(codeOf("http://127.0.0.1:8001").join("\n")).not.toContain("\t");
});
