import { Empty } from "../ui/States";

export function StartPage() {
  return <Empty title="StartPage" />;
}
