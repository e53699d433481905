// The tables of a plan: paths, conflicts, warnings, and what each layer brings.
import type { ReactNode } from 'react';
import type { Plan, PlanPath } from '../api/wire';
import { bytes } from '../show/bytes';
import { words } from '../words';

const { images: say } = words;

type Layers = Plan['layers'];

/** The layer at this place; no place: the operating system. */
function layerAt(layers: Layers, place: number | null | undefined): string {
  return place === null || place === undefined ? say.planOs : (layers[place]?.name ?? words.frame.none);
}

interface TableProps {
  label: string;
  columns: { name: string; number?: boolean }[];
  rows: ReactNode[][];
  /** Said instead of a table without rows. */
  nothing: string;
}

function Table({ label, columns, rows, nothing }: TableProps) {
  if (rows.length === 0) return <p className="quiet plan-nothing">{nothing}</p>;
  const style = (column: number) => (columns[column]?.number ? 'number' : undefined);
  return (
    <table className="table plan" aria-label={label}>
      <thead>
        <tr>
          {columns.map((column, index) => (
            <th key={column.name} scope="col" className={style(index)}>
              {column.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {rows.map((cells, row) => (
          // Two rows may say the same; their order is the server's.
          <tr key={row}>
            {cells.map((cell, index) => (
              <td key={columns[index]!.name} data-label={columns[index]!.name} className={style(index)}>
                {cell}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function PathTable({ paths, layers, nothing }: { paths: PlanPath[]; layers: Layers; nothing: string }) {
  return (
    <Table
      label={say.planTabs.paths}
      nothing={nothing}
      columns={[
        { name: say.pathColumn },
        { name: say.action },
        { name: say.winner },
        { name: say.written, number: true },
      ]}
      rows={paths.map((path) => [
        <code key="path">{path.path}</code>,
        say.actions[path.action] ?? path.action,
        path.layers.map((place) => layerAt(layers, place)).join(' + '),
        bytes(path.bytes),
      ])}
    />
  );
}

export function ConflictTable({ plan, conflicts }: { plan: Plan; conflicts: Plan['conflicts'] }) {
  return (
    <>
      {plan.conflict_count > plan.conflicts.length && (
        <p className="quiet">{say.planFirst(plan.conflicts.length, plan.conflict_count)}</p>
      )}
      <Table
        label={say.planTabs.conflicts}
        nothing={say.planNoConflicts}
        columns={[{ name: say.pathColumn }, { name: say.winner }, { name: say.loser }, { name: say.why }]}
        rows={conflicts.map((one) => [
          <code key="path">{one.path}</code>,
          layerAt(plan.layers, one.winner),
          layerAt(plan.layers, one.loser),
          one.text,
        ])}
      />
    </>
  );
}

export function WarningTable({ plan, warnings }: { plan: Plan; warnings: Plan['warnings'] }) {
  return (
    <Table
      label={say.planTabs.warnings}
      nothing={say.planNoWarnings}
      columns={[{ name: say.pathColumn }, { name: say.part }, { name: say.why }]}
      rows={warnings.map((one) => [
        <code key="path">{one.path ?? words.frame.none}</code>,
        typeof one.layer === 'number' ? layerAt(plan.layers, one.layer) : words.frame.none,
        one.text,
      ])}
    />
  );
}

export function LayerShares({ layers }: { layers: Layers }) {
  return (
    <Table
      label={say.planTabs.layers}
      nothing={say.planUnchanged}
      columns={[
        { name: say.part },
        { name: say.entries, number: true },
        { name: say.wins, number: true },
        { name: say.bytes, number: true },
        { name: say.written, number: true },
      ]}
      rows={layers
        .toReversed()
        .map((one) => [one.name, one.entries, one.wins, bytes(one.bytes), bytes(one.written_bytes)])}
    />
  );
}
