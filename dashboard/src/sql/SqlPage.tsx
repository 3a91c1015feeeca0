import { Empty } from "../ui/States";

export function SqlPage() {
  return <Empty title="SqlPage" />;
}
