// Ctrl K: any page, layer or machine by a few letters of its name.
import { Modal, ModalBody, TextInput } from '@patternfly/react-core';
import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useId, useMemo, useState, type KeyboardEvent } from 'react';
import { fewLayersQuery, machinesQuery } from '../api/queries';
import { actionOf } from '../parts/ActionButton';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { PAGES } from './Navigation';

interface Entry {
  key: string;
  label: string;
  group: string;
  go: () => void;
}

const SHOWN = 12;
/** Layers that are looked through. */
const LAYERS = 50;

export function Palette({ onClose }: { onClose: () => void }) {
  const [sought, setSought] = useState('');
  const [at, setAt] = useState(0);
  const id = useId();
  const entries = useEntries(sought);
  const found = useMemo(() => entries.filter((entry) => matches(entry, sought)).slice(0, SHOWN), [entries, sought]);
  const chosen = found[Math.min(at, found.length - 1)];
  const choose = (entry: Entry | undefined) => {
    if (entry === undefined) return;
    onClose();
    entry.go();
  };
  const press = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      event.preventDefault();
      setAt((Math.min(at, found.length - 1) + step + found.length) % Math.max(found.length, 1));
    } else if (event.key === 'Enter') choose(chosen);
  };
  return (
    <Modal isOpen variant="small" position="top" onClose={onClose} aria-label={words.frame.palette} className="palette">
      <ModalBody>
        <TextInput
          autoFocus
          type="search"
          role="combobox"
          aria-label={words.frame.palette}
          aria-expanded
          aria-controls={`${id}-list`}
          aria-activedescendant={chosen && `${id}-${chosen.key}`}
          placeholder={words.frame.palette}
          value={sought}
          onKeyDown={press}
          onChange={(_, text) => {
            setSought(text);
            setAt(0);
          }}
        />
        {found.length === 0 && <p className="quiet palette-nothing">{words.frame.paletteNothing}</p>}
        <ul id={`${id}-list`} role="listbox" aria-label={words.frame.palette} className="palette-list">
          {found.map((entry) => (
            // The keyboard stays in the field above, which names the chosen option.
            // eslint-disable-next-line jsx-a11y/click-events-have-key-events
            <li
              key={entry.key}
              id={`${id}-${entry.key}`}
              role="option"
              aria-selected={entry === chosen}
              onClick={() => choose(entry)}
            >
              <span>{entry.label}</span>
              <span className="quiet">{entry.group}</span>
            </li>
          ))}
        </ul>
      </ModalBody>
    </Modal>
  );
}

function matches(entry: Entry, sought: string): boolean {
  const label = entry.label.toLowerCase();
  return sought
    .toLowerCase()
    .split(/\s+/)
    .every((word) => label.includes(word));
}

function useEntries(sought: string): Entry[] {
  const navigate = useNavigate();
  // The last word is most likely part of a name: "add version to deb".
  const text = sought.trim().split(/\s+/).at(-1) || undefined;
  const { data: layers = [] } = useQuery(fewLayersQuery({ text, sort: 'name' }, LAYERS));
  const create = useMay('create_layer');
  const { data: machines = [] } = useQuery(machinesQuery);
  return useMemo(() => {
    const { frame, layers: layerWords } = words;
    return [
      ...PAGES.map(([to, label]) => ({
        key: `page-${to.replaceAll('/', '-')}`,
        label,
        group: frame.pages,
        go: () => void navigate({ to }),
      })),
      ...(create?.allowed
        ? [
            {
              key: 'create-os',
              label: layerWords.create.os,
              group: frame.actions,
              go: () => void navigate({ to: '/create-os-layer' }),
            },
            ...(['platform', 'app'] as const).map((kind) => ({
              key: `create-${kind}`,
              label: layerWords.create[kind],
              group: frame.actions,
              go: () => void navigate({ to: '/create-layer/$kind', params: { kind } }),
            })),
          ]
        : []),
      ...layers.map((layer) => ({
        key: `layer-${layer.id}`,
        label: layer.name,
        group: layerWords[layer.kind],
        go: () => void navigate({ to: '/layers/$kind/$id', params: { kind: layer.kind, id: layer.id } }),
      })),
      ...layers
        .filter((layer) => actionOf(layer.actions, 'add_version')?.allowed)
        .map((layer) => ({
          key: `add-${layer.id}`,
          label: frame.addVersionTo(layer.name),
          group: frame.actions,
          go: () => void navigate({ to: '/layers/$kind/$id/add-version', params: { kind: layer.kind, id: layer.id } }),
        })),
      ...machines.map((machine) => ({
        key: `machine-${machine.id}`,
        label: machine.name,
        group: frame.machines,
        go: () => void navigate({ to: '/machines/$id', params: { id: machine.id } }),
      })),
    ];
  }, [layers, machines, create, navigate]);
}
