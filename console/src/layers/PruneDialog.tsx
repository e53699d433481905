// Delete old versions: how many of the newest stay; which go, and why the others do not, is told before anything is deleted.
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { pruneQuery } from '../api/queries';
import type { Layer } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { Reading } from '../parts/Reading';
import { TextField } from '../parts/TextField';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { schedules: say } = words;
const MOST = 1000;

export function PruneDialog({ layer, onClose }: { layer: Layer; onClose: () => void }) {
  const [text, setText] = useState(String(layer.retention?.keep ?? 3));
  const keep = Number(text);
  const isNumber = Number.isInteger(keep) && keep >= 1 && keep <= MOST;
  const plan = useQuery({ ...pruneQuery(layer.id, keep), enabled: isNumber });
  const goes = plan.data?.versions.filter((version) => version.goes).length ?? 0;
  const run = (comment: string) =>
    asked(
      client.POST('/api/v1/layers/{id}/prune', { params: { path: { id: layer.id } }, body: { keep, delete: true, comment } }),
    );
  return (
    <AskDialog
      danger
      wide
      title={say.pruneTitle(layer.name)}
      verb={say.prune}
      blocked={isNumber && goes > 0 ? undefined : say.pruneNothing}
      onDo={run}
      onClose={onClose}
    >
      <TextField type="number" label={say.pruneKeep} help={say.pruneKeepHelp} value={text} onChange={setText} />
      {isNumber && (
        <Reading of={plan}>
          {({ versions, freed_bytes: freed }) => (
            <>
              <p role="status">{goes > 0 ? say.pruneGoes(goes, bytes(freed)) : say.pruneNothing}</p>
              <ul className="used-by">
                {versions.map((version) => (
                  <li key={version.id}>
                    <strong>{version.name}</strong> {version.goes ? say.pruneGone : say.pruneStays}: {version.reason}
                  </li>
                ))}
              </ul>
            </>
          )}
        </Reading>
      )}
    </AskDialog>
  );
}
