import { Empty } from "../ui/States";

export function LivePage() {
  return <Empty title="LivePage" />;
}
