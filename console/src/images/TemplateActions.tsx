// What can be done with an image template: as buttons on its page, as a menu in the list.
import { useNavigate } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Template } from '../api/wire';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { ActionMenu } from '../parts/ActionMenu';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';
import { CloneDialog } from './CloneDialog';
import { partsOf } from './parts';
import { PublishDialog } from './PublishDialog';

const { images: say } = words;

type Asked = 'publish' | 'update' | 'clone' | 'delete';

interface DialogProps {
  template: Template;
  dialog: Asked | undefined;
  onClose: () => void;
}

export function TemplateMenu({ template }: { template: Template }) {
  const [dialog, setDialog] = useState<Asked>();
  const edit = useEdit(template);
  const entry = (name: Asked) => ({
    label: name === 'delete' ? words.frame.delete : say[name],
    action: actionOf(template.actions, name),
    danger: name === 'delete',
    onChoose: () => setDialog(name),
  });
  return (
    <>
      <ActionMenu
        label={words.settings.more(template.name)}
        entries={[
          entry('publish'),
          entry('update'),
          { label: say.edit, action: actionOf(template.actions, 'edit'), onChoose: edit },
          entry('clone'),
          entry('delete'),
        ]}
      />
      <Dialogs template={template} dialog={dialog} onClose={() => setDialog(undefined)} />
    </>
  );
}

export function TemplateButtons({ template }: { template: Template }) {
  const [dialog, setDialog] = useState<Asked>();
  const edit = useEdit(template);
  const button = (name: Asked) => (
    <ActionButton
      variant={name === 'publish' ? 'primary' : 'secondary'}
      isDanger={name === 'delete'}
      action={actionOf(template.actions, name)}
      onClick={() => setDialog(name)}
    >
      {name === 'delete' ? words.frame.delete : say[name]}
    </ActionButton>
  );
  return (
    <>
      {button('publish')}
      {button('update')}
      <ActionButton variant="secondary" action={actionOf(template.actions, 'edit')} onClick={edit}>
        {say.edit}
      </ActionButton>
      {button('clone')}
      {button('delete')}
      <Dialogs template={template} dialog={dialog} onClose={() => setDialog(undefined)} />
    </>
  );
}

function useEdit(template: Template) {
  const navigate = useNavigate();
  return () => void navigate({ to: '/templates/$id/edit', params: { id: template.id } });
}

function Dialogs({ template, dialog, onClose }: DialogProps) {
  switch (dialog) {
    case 'publish':
      return <PublishDialog templates={[template]} onClose={onClose} />;
    case 'clone':
      return <CloneDialog template={template} onClose={onClose} />;
    case 'update':
      return <UpdateDialog template={template} onClose={onClose} />;
    case 'delete':
      return <DeleteTemplateDialog template={template} onClose={onClose} />;
    default:
      return null;
  }
}

function UpdateDialog({ template, onClose }: { template: Template; onClose: () => void }) {
  const at = { params: { path: { id: template.id } } };
  return (
    <AskDialog
      title={say.updateTitle(template.name)}
      verb={say.update}
      onDo={(comment) => asked(client.POST('/api/v1/templates/{id}/update', { ...at, body: { comment } }))}
      onClose={onClose}
    >
      <p>{say.updateText}</p>
      <ul className="used-by">
        {partsOf(template).map(
          (part) =>
            part.newer && (
              <li key={part.layer_id}>
                {say.updateLine(part.layer_name, part.version_name, part.newer.version_name)}
              </li>
            ),
        )}
      </ul>
    </AskDialog>
  );
}

function DeleteTemplateDialog({ template, onClose }: { template: Template; onClose: () => void }) {
  const navigate = useNavigate();
  const at = { params: { path: { id: template.id } } };
  return (
    <AskDialog
      danger
      title={say.deleteTitle(template.name)}
      verb={words.frame.delete}
      onDo={async (comment) => {
        await asked(client.DELETE('/api/v1/templates/{id}', { ...at, body: { comment } }));
        await navigate({ to: '/templates' });
      }}
      onClose={onClose}
    >
      <p>{say.deleteTemplateText}</p>
    </AskDialog>
  );
}
