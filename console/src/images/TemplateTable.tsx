// Image templates as a table: selected ones are published together.
import { Checkbox } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import type { Template } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { TemplateStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { bytes } from '../show/bytes';
import { words } from '../words';
import { NewerLabel } from './NewerLabel';
import { PublishDialog } from './PublishDialog';
import { TemplateMenu } from './TemplateActions';
import { isSelectable, useSelection, type Selection } from './useSelection';

const { images: say, layers } = words;

export function TemplateTable({ templates }: { templates: Template[] }) {
  const selection = useSelection(templates);
  return (
    <>
      <SelectionBar {...selection} />
      <table className="table" aria-label={say.templates}>
        <thead>
          <tr>
            <td />
            <th scope="col">{say.name}</th>
            <th scope="col">{say.state}</th>
            <th scope="col">{say.os}</th>
            <th scope="col" className="number">
              {say.apps}
            </th>
            <th scope="col">{say.platform}</th>
            <th scope="col" className="number" title={say.estimateHelp}>
              {say.estimate}
            </th>
            <th scope="col">{say.changed}</th>
            <td />
          </tr>
        </thead>
        <tbody>
          {templates.map((template) => (
            <Row
              key={template.id}
              template={template}
              isSelected={selection.selected.includes(template)}
              onToggle={() => selection.toggle(template.id)}
            />
          ))}
        </tbody>
      </table>
    </>
  );
}

function SelectionBar({ selected, selectable, selectAll }: Selection) {
  const [publishing, setPublishing] = useState<Template[]>();
  return (
    <div className="action-bar" role="toolbar" aria-label={say.selectionBar}>
      <Checkbox
        id="select-all"
        aria-label={layers.selectAll}
        isDisabled={selectable.length === 0}
        isChecked={selected.length === 0 ? false : selected.length === selectable.length ? true : null}
        onChange={(_, yes) => selectAll(yes)}
      />
      <span className="action-bar-count">{layers.selected(selected.length)}</span>
      <ActionButton
        variant="secondary"
        action={selected.length > 0 ? { allowed: true } : { allowed: false, reason: say.chooseSome }}
        onClick={() => setPublishing(selected)}
      >
        {say.publish}
      </ActionButton>
      {publishing && <PublishDialog templates={publishing} onClose={() => setPublishing(undefined)} />}
    </div>
  );
}

interface RowProps {
  template: Template;
  isSelected: boolean;
  onToggle: () => void;
}

function Row({ template, isSelected, onToggle }: RowProps) {
  const { id, name, state, os, apps, platform, has_newer: newer, estimate_bytes: estimate } = template;
  return (
    <tr className={isSelected ? 'chosen' : undefined}>
      <td>
        <Checkbox
          id={`select-${id}`}
          aria-label={layers.select(name)}
          title={actionOf(template.actions, 'publish')?.reason ?? undefined}
          isDisabled={!isSelectable(template)}
          isChecked={isSelected}
          onChange={onToggle}
        />
      </td>
      <td data-label={say.name}>
        <Link to="/templates/$id" params={{ id }}>
          {name}
        </Link>
      </td>
      <td data-label={say.state}>
        <TemplateStateLabel state={state} /> {newer && <NewerLabel text={say.hasNewer} />}
      </td>
      <td data-label={say.os}>{layers.versionOf(os.layer_name, os.version_name)}</td>
      <td data-label={say.apps} className="number">
        {apps.length}
      </td>
      <td data-label={say.platform}>{platform?.layer_name ?? words.frame.none}</td>
      <td data-label={say.estimate} className="number">
        {bytes(estimate)}
      </td>
      <td data-label={say.changed}>
        <When at={template.updated_at} />
      </td>
      <td className="row-menu">
        <TemplateMenu template={template} />
      </td>
    </tr>
  );
}
