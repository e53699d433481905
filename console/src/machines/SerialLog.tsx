// What the machine has written to its serial console: its last MiB, followed while it runs.
import { Button, Checkbox } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useLayoutEffect, useRef, useState } from 'react';
import { serialQuery } from '../api/queries';
import type { Machine } from '../api/wire';
import { Reading } from '../parts/Reading';
import { words } from '../words';

const { machines: say } = words;

// Colours and cursor movements mean nothing here.
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b-\x1a\x1c-\x1f]/g;

export function SerialLog({ machine }: { machine: Machine }) {
  const [follow, setFollow] = useState(true);
  const log = useQuery(serialQuery(machine.id, follow && machine.power === 'running'));
  return (
    <Reading of={log}>
      {(raw) => {
        const text = raw.replaceAll('\r\n', '\n').replaceAll(ESCAPES, '');
        return (
          <div className="serial">
            <div className="filters">
              <Checkbox id="follow" label={say.follow} isChecked={follow} onChange={(_, yes) => setFollow(yes)} />
              <Button variant="link" isInline component="a" href={`/api/v1/machines/${machine.id}/serial`} download={`${machine.name}.log`}>
                {say.downloadSerial}
              </Button>
            </div>
            <Lines text={text === '' ? say.serialEmpty : text} follow={follow} />
          </div>
        );
      }}
    </Reading>
  );
}

function Lines({ text, follow }: { text: string; follow: boolean }) {
  const box = useRef<HTMLPreElement>(null);
  useLayoutEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text, follow]);
  return (
    // What scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <pre ref={box} className="serial-text" tabIndex={0} role="region" aria-label={say.serial}>
      {text}
    </pre>
  );
}
