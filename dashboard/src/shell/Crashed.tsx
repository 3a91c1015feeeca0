import { Failure } from "../ui/States";

/** In the place of a page that threw: the navigation beside it stays, and another page is a click away. */
export function Crashed({ error }: { error: unknown }) {
  const shown = error instanceof Error ? error : new Error(String(error));
  return <Failure error={shown} retry={() => location.reload()} />;
}
