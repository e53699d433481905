// Attach files: what is uploaded appears in the machine as a read-only CD.
//
// The CD holds a set of files: what is on it already and is not taken off stays. An upload is used up by it.
import { Alert, Checkbox } from '@patternfly/react-core';
import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState, type ReactNode } from 'react';
import { asked, client } from '../api/client';
import { filesQuery, uploadsQuery } from '../api/queries';
import type { Machine, MachineFile, Upload } from '../api/wire';
import { discard, send } from '../api/uploads';
import { tell, tellRefusal } from '../frame/notices';
import { useSend } from '../frame/useSend';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { Reading } from '../parts/Reading';
import { FileButton, SendingLine } from '../parts/UploadField';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { machines: say } = words;

export function AttachFiles({ machine }: { machine: Machine }) {
  const files = useQuery(filesQuery(machine.id));
  const uploads = useQuery(uploadsQuery);
  const attach = actionOf(machine.actions, 'attach_files');
  const [started, setStarted] = useState<string[]>([]);
  const begin = (file: File) => {
    send(file).then((id) => setStarted((old) => [...old, id]), tellRefusal);
  };
  return (
    <div className="attach">
      <p>{say.filesLead}</p>
      {attach?.allowed ? (
        <FileButton multiple label={say.uploadFiles} onFile={begin} />
      ) : (
        <>
          {attach && <Alert component="p" isInline variant="info" title={attach.reason} />}
          <ActionButton variant="secondary" action={attach}>
            {say.uploadFiles}
          </ActionButton>
        </>
      )}
      {started.map((id) => (
        <SendingLine key={id} id={id} />
      ))}
      <Reading of={files}>
        {(inside) => (
          <Reading of={uploads}>
            {(all) => <Choice machine={machine} inside={inside} uploads={all} started={started} />}
          </Reading>
        )}
      </Reading>
    </div>
  );
}

interface ChoiceProps {
  machine: Machine;
  inside: MachineFile[];
  uploads: Upload[];
  /** Uploads begun on this page: chosen unless the person says no. */
  started: string[];
}

function Choice({ machine, inside, uploads, started }: ChoiceProps) {
  const queries = useQueryClient();
  const [picked, setPicked] = useState<Record<string, boolean>>({});
  const onCd = new Set(inside.map((file) => file.id));
  const usable = uploads.filter((upload) => !onCd.has(upload.id) && actionOf(upload.actions, 'use')?.allowed);
  const isChosen = ({ id }: { id: string }) => picked[id] ?? (onCd.has(id) || started.includes(id));
  const chosen = [...inside, ...usable].filter(isChosen).map(({ id }) => id);
  const isSame = chosen.length === inside.length && chosen.every((id) => onCd.has(id));
  const may = actionOf(machine.actions, 'attach_files');
  const attach = useSend(async () => {
    const at = { params: { path: { id: machine.id } } };
    await asked(client.PUT('/api/v1/machines/{id}/files', { ...at, body: { upload_ids: chosen } }));
    await queries.invalidateQueries({ queryKey: ['files', machine.id] });
    await queries.invalidateQueries({ queryKey: ['uploads'] });
    setPicked({});
    tell(chosen.length > 0 ? say.attached : say.takenOut);
  });
  const entry = (file: { id: string; name: string; size: number }) => ({
    file,
    isChosen: isChosen(file),
    onChoose: (yes: boolean) => setPicked({ ...picked, [file.id]: yes }),
  });
  return (
    <>
      {inside.length > 0 && (
        <FileList title={say.cdNow}>
          {inside.map((file) => (
            <FileEntry key={file.id} {...entry(file)} />
          ))}
        </FileList>
      )}
      {usable.length > 0 && (
        <FileList title={say.uploaded}>
          {usable.map((upload) => (
            <FileEntry key={upload.id} {...entry(upload)} upload={upload} />
          ))}
        </FileList>
      )}
      <ActionButton
        action={isSame && may?.allowed ? { allowed: false, reason: inside.length > 0 ? say.same : say.chooseFile } : may}
        isLoading={attach.isPending}
        onClick={() => attach.mutate()}
      >
        {chosen.length === 0 && inside.length > 0 ? say.takeOut : say.attachThese(chosen.length)}
      </ActionButton>
    </>
  );
}

function FileList({ title, children }: { title: string; children: ReactNode }) {
  return (
    <>
      <h2>{title}</h2>
      <ul className="file-list">{children}</ul>
    </>
  );
}

interface FileEntryProps {
  file: { id: string; name: string; size: number };
  isChosen: boolean;
  onChoose: (yes: boolean) => void;
  /** What the file is while it is not on the CD yet, and can still be deleted. */
  upload?: Upload;
}

function FileEntry({ file, isChosen, onChoose, upload }: FileEntryProps) {
  const queries = useQueryClient();
  const drop = useSend(async (id: string) => {
    await discard(id);
    await queries.invalidateQueries({ queryKey: ['uploads'] });
  });
  return (
    <li>
      <Checkbox
        id={`file-${file.id}`}
        label={file.name}
        description={bytes(file.size)}
        isChecked={isChosen}
        onChange={(_, yes) => onChoose(yes)}
      />
      {upload && (
        <ActionButton
          variant="link"
          isInline
          isDanger
          action={actionOf(upload.actions, 'delete')}
          onClick={() => drop.mutate(upload.id)}
        >
          {say.discard}
        </ActionButton>
      )}
    </li>
  );
}
