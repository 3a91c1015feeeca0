import { Empty } from "../ui/States";

export function SearchPage() {
  return <Empty title="SearchPage" />;
}
