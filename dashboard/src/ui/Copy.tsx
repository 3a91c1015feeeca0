import { ActionIcon, Tooltip, VisuallyHidden } from "@mantine/core";
import { IconCheck, IconCopy, IconX } from "@tabler/icons-react";
import { useEffect, useState } from "react";
import { copyText } from "./clipboard";

const SHOWN_MS = 1500;

/** `copy` puts a text on the clipboard; `outcome` says for a moment how that went. */
export function useCopy(): { copy: (text: string) => void; outcome: "none" | "copied" | "refused" } {
  const [outcome, setOutcome] = useState<"none" | "copied" | "refused">("none");
  useEffect(() => {
    if (outcome === "none") return;
    const timer = setTimeout(() => setOutcome("none"), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [outcome]);
  const copy = (text: string) => void copyText(text).then((done) => setOutcome(done ? "copied" : "refused"));
  return { copy, outcome };
}

const SAID = { none: "", copied: "Copied", refused: "The browser does not allow copying here" };

/** A button that copies. `text` may be a function where making the text costs something. */
export function CopyButton({ text, label = "Copy" }: { text: string | (() => string); label?: string }) {
  const { copy, outcome } = useCopy();
  return (
    <>
      <Tooltip label={SAID[outcome] || label}>
        <ActionIcon
          variant="subtle"
          color="gray"
          size={24}
          aria-label={label}
          onClick={() => copy(typeof text === "string" ? text : text())}
        >
          {outcome === "none" && <IconCopy size={15} stroke={1.7} />}
          {outcome === "copied" && <IconCheck size={15} stroke={2} />}
          {outcome === "refused" && <IconX size={15} stroke={2} />}
        </ActionIcon>
      </Tooltip>
      <VisuallyHidden role="status">{SAID[outcome]}</VisuallyHidden>
    </>
  );
}
