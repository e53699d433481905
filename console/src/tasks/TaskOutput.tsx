// What the script of an unattended version printed: read on while it runs.
import { useQuery } from '@tanstack/react-query';
import { useLayoutEffect, useRef } from 'react';
import { taskOutputQuery } from '../api/queries';
import { words } from '../words';

const { tasks: say } = words;

// Colours and cursor movements mean nothing here.
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_])|[\x00-\x08\x0b-\x1a\x1c-\x1f]/g;

export function TaskOutput({ id }: { id: string }) {
  const { data } = useQuery(taskOutputQuery(id));
  const box = useRef<HTMLPreElement>(null);
  const text = data?.text.replaceAll('\r\n', '\n').replaceAll(ESCAPES, '') ?? '';
  useLayoutEffect(() => {
    if (box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  if (text === '') return null;
  return (
    <section className="task-output" aria-labelledby="output-title">
      <div className="section-top">
        <h2 id="output-title">{say.output}</h2>
      </div>
      {/* What scrolls must be reachable by keyboard. */}
      {/* eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <pre ref={box} className="script-text" tabIndex={0} role="region" aria-label={say.output}>
        {text}
      </pre>
    </section>
  );
}
