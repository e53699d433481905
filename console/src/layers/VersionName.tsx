// A version that is known by its id only: its layer and its name, as a link to it.
import { useQuery } from '@tanstack/react-query';
import { Link } from '@tanstack/react-router';
import { versionQuery } from '../api/queries';
import { words } from '../words';

const { layers: say } = words;

export function VersionName({ id }: { id: string }) {
  const { data: version, error } = useQuery(versionQuery(id));
  if (error) return <>{say.gone}</>;
  if (version === undefined) return <>{words.frame.loading}</>;
  return (
    <Link to="/layers/$kind/$id" params={{ kind: 'any', id: version.layer_id }} search={{ version: id }}>
      {say.versionOf(version.layer_name, version.name)}
    </Link>
  );
}

export function VersionNames({ ids }: { ids: string[] }) {
  return (
    <ul className="used-by">
      {ids.map((id) => (
        <li key={id}>
          <VersionName id={id} />
        </li>
      ))}
    </ul>
  );
}
