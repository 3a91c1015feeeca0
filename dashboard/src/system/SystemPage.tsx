import { Empty } from "../ui/States";

export function SystemPage() {
  return <Empty title="SystemPage" />;
}
