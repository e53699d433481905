// Which of the templates that are shown are selected, to be published together.
import { useMemo, useState } from 'react';
import type { Template } from '../api/wire';
import { actionOf } from '../parts/ActionButton';

export interface Selection {
  /** In the order that they are shown in. */
  selected: Template[];
  /** Those that could be: what cannot be published now cannot be selected. */
  selectable: Template[];
  toggle: (id: string) => void;
  selectAll: (yes: boolean) => void;
}

export function useSelection(shown: Template[]): Selection {
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const selectable = useMemo(() => shown.filter(isSelectable), [shown]);
  const toggle = (id: string) => {
    const next = new Set(chosen);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return {
    selected: selectable.filter(({ id }) => chosen.has(id)),
    selectable,
    toggle,
    selectAll: (yes) => setChosen(new Set(yes ? selectable.map(({ id }) => id) : [])),
  };
}

export function isSelectable(template: Template): boolean {
  return actionOf(template.actions, 'publish')?.allowed ?? false;
}
