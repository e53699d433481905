// The repository: room, what each version takes, check, and removing what nothing uses.
import { Checkbox } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { repositoryQuery } from '../api/queries';
import type { Repository } from '../api/wire';
import { ActionButton } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { Facts } from '../parts/Facts';
import { Reading } from '../parts/Reading';
import { bytes } from '../show/bytes';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { GarbageDialog } from './GarbageDialog';

const { settings: say } = words;

export function RepositorySection() {
  const repository = useQuery(repositoryQuery);
  const [dialog, setDialog] = useState<'check' | 'gc'>();
  const close = () => setDialog(undefined);
  const check = useMay('check_repository');
  const collect = useMay('collect_garbage');
  return (
    <>
      <div className="buttons">
        <ActionButton variant="secondary" action={check} onClick={() => setDialog('check')}>
          {say.check}
        </ActionButton>
        <ActionButton variant="secondary" action={collect} onClick={() => setDialog('gc')}>
          {say.gc}
        </ActionButton>
      </div>
      <Reading of={repository}>{(shown) => <Contents repository={shown} />}</Reading>
      {dialog === 'check' && <CheckDialog onClose={close} />}
      {dialog === 'gc' && <GarbageDialog onClose={close} />}
    </>
  );
}

function Contents({ repository }: { repository: Repository }) {
  const { place, free_bytes, stored_bytes, logical_bytes, unique_bytes, put_together_bytes, versions } = repository;
  const factor = stored_bytes > 0 ? logical_bytes / stored_bytes : 0;
  return (
    <>
      <Facts
        columns={3}
        facts={[
          [say.place, <span key="place" className="name">{place}</span>],
          [say.free, bytes(free_bytes)],
          [say.stored, bytes(stored_bytes)],
          [say.logical, bytes(logical_bytes)],
          [say.unique, bytes(unique_bytes)],
          [say.putTogether, <span key="put-together" title={say.putTogetherHelp}>{bytes(put_together_bytes)}</span>],
          factor > 1 && [say.saved, say.times(factor.toFixed(1))],
        ]}
      />
      <h2>{say.versions}</h2>
      {versions.length === 0 ? (
        <p className="quiet">{say.noVersions}</p>
      ) : (
        <table className="table" aria-label={say.versions}>
          <thead>
            <tr>
              <th scope="col">{say.version}</th>
              <th scope="col" className="number">{say.data}</th>
              <th scope="col" className="number">{say.alone}</th>
            </tr>
          </thead>
          <tbody>
            {versions.map((version) => (
              <tr key={version.id}>
                <td data-label={say.version}>{version.name || say.unknown}</td>
                <td data-label={say.data} className="number">{bytes(version.logical_bytes)}</td>
                <td data-label={say.alone} className="number">{bytes(version.unique_stored_bytes)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  );
}

function CheckDialog({ onClose }: { onClose: () => void }) {
  const [readData, setReadData] = useState(false);
  return (
    <AskDialog
      title={say.checkTitle}
      verb={say.check}
      withComment={false}
      onClose={onClose}
      onDo={() => asked(client.POST('/api/v1/repository/check', { body: { read_data: readData } }))}
    >
      <p>{say.checkText}</p>
      <Checkbox id="read-data" label={say.readData} isChecked={readData} onChange={(_, yes) => setReadData(yes)} />
    </AskDialog>
  );
}
