// What uses a layer or a version, in the server's words.
import { words } from '../words';

export function UsedBy({ users }: { users: string[] }) {
  if (users.length === 0) return <>{words.layers.notUsed}</>;
  return (
    <ul className="used-by">
      {users.map((user) => (
        <li key={user}>{user}</li>
      ))}
    </ul>
  );
}
