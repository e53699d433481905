// Attach files: what is uploaded appears in the machine as a read-only CD.
//
// Attaching takes the place of what is on the CD, and uses the uploads up.
import { Button, Checkbox } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { filesQuery, uploadsQuery } from '../api/queries';
import type { Machine, Upload } from '../api/types';
import { discard, send } from '../api/uploads';
import { tell, tellRefusal } from '../frame/notices';
import { useSend } from '../frame/useSend';
import { ActionButton } from '../parts/ActionButton';
import { Reading } from '../parts/Reading';
import { FileButton, SendingLine } from '../parts/UploadField';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { machines: say } = words;

export function AttachFiles({ machine }: { machine: Machine }) {
  const files = useQuery(filesQuery(machine.id));
  const uploads = useQuery(uploadsQuery);
  const [started, setStarted] = useState<string[]>([]);
  const begin = (file: File) => {
    send(file).then((id) => setStarted((old) => [...old, id]), tellRefusal);
  };
  const attach = useAttach(machine);
  return (
    <div className="attach">
      <p>{say.filesLead}</p>
      <Reading of={files}>{(inside) => <OnTheCd inside={inside} attach={attach} />}</Reading>
      <FileButton multiple label={say.uploadFiles} onFile={begin} />
      {started.map((id) => (
        <SendingLine key={id} id={id} />
      ))}
      <Reading of={uploads}>
        {(all) => (
          <Choice
            uploads={all.filter((upload) => upload.received >= upload.size)}
            started={started}
            replaces={(files.data?.length ?? 0) > 0}
            attach={attach}
          />
        )}
      </Reading>
    </div>
  );
}

/** Puts uploads on the CD; none takes it out. */
function useAttach(machine: Machine) {
  const queries = useQueryClient();
  return useSend(async (upload_ids: string[]) => {
    const at = { params: { path: { id: machine.id } } };
    await asked(client.PUT('/api/v1/machines/{id}/files', { ...at, body: { upload_ids } }));
    await queries.invalidateQueries({ queryKey: ['files', machine.id] });
    await queries.invalidateQueries({ queryKey: ['uploads'] });
    tell(upload_ids.length > 0 ? say.attached : say.takenOut);
  });
}

type Attach = ReturnType<typeof useAttach>;

function OnTheCd({ inside, attach }: { inside: { name: string; size: number }[]; attach: Attach }) {
  if (inside.length === 0) return null;
  return (
    <>
      <h2>{say.cdNow}</h2>
      <ul className="file-list">
        {inside.map((file) => (
          <li key={file.name}>
            {file.name} <span className="quiet">{bytes(file.size)}</span>
          </li>
        ))}
      </ul>
      <Button variant="secondary" isLoading={attach.isPending} onClick={() => attach.mutate([])}>
        {say.takeOut}
      </Button>
    </>
  );
}

interface ChoiceProps {
  uploads: Upload[];
  /** Uploads begun on this page: chosen unless the person says no. */
  started: string[];
  replaces: boolean;
  attach: Attach;
}

function Choice({ uploads, started, replaces, attach }: ChoiceProps) {
  const queries = useQueryClient();
  const [picked, setPicked] = useState<Record<string, boolean>>({});
  const isChosen = ({ id }: Upload) => picked[id] ?? started.includes(id);
  const chosen = uploads.filter(isChosen);
  const drop = useSend(async (upload: Upload) => {
    await discard(upload.id);
    await queries.invalidateQueries({ queryKey: ['uploads'] });
  });
  return (
    <>
      <ul className="file-list">
        {uploads.map((upload) => (
          <li key={upload.id}>
            <Checkbox
              id={`file-${upload.id}`}
              label={upload.name}
              description={bytes(upload.size)}
              isChecked={isChosen(upload)}
              onChange={(_, yes) => setPicked({ ...picked, [upload.id]: yes })}
            />
            <Button variant="link" isInline isDanger onClick={() => drop.mutate(upload)}>
              {say.discard}
            </Button>
          </li>
        ))}
      </ul>
      <ActionButton
        action={chosen.length > 0 ? { allowed: true } : { allowed: false, reason: say.chooseFile }}
        isLoading={attach.isPending}
        onClick={() => attach.mutate(chosen.map((upload) => upload.id))}
      >
        {say.attachThese(chosen.length)}
      </ActionButton>
      {replaces && chosen.length > 0 && <p className="quiet">{say.replaces}</p>}
    </>
  );
}
