import { Empty } from "../ui/States";

export function PatternsPage() {
  return <Empty title="PatternsPage" />;
}
