// What a task found or made: names and values, whatever kind of task it was.
import type { ReactNode } from 'react';
import type { Task } from '../api/wire';
import { Facts, type Fact } from '../parts/Facts';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { tasks: say } = words;

export function TaskResult({ task }: { task: Task }) {
  const { result } = task;
  if (typeof result !== 'object' || result === null) return null;
  const facts = Object.entries(result)
    .filter(([, value]) => value !== null && value !== '' && !(Array.isArray(value) && value.length === 0))
    .map(([name, value]): Fact => [say.resultName[name] ?? name.replaceAll('_', ' '), shown(name, value)]);
  return <Facts facts={facts} />;
}

function shown(name: string, value: unknown): ReactNode {
  if (typeof value === 'number') return name.endsWith('_bytes') ? bytes(value) : value.toLocaleString();
  if (typeof value === 'boolean') return value ? say.yes : say.no;
  if (Array.isArray(value)) return value.map((one, index) => <p key={index}>{shown(name, one)}</p>);
  if (typeof value === 'string') return <span className="name">{value}</span>;
  return <code>{JSON.stringify(value)}</code>;
}
