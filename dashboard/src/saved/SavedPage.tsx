import { Empty } from "../ui/States";

export function SavedPage() {
  return <Empty title="SavedPage" />;
}
