// Layered images, a line each, with download and delete; what was found out while it was made opens below.
import { Checkbox, ExpandableSection } from '@patternfly/react-core';
import { Link } from '@tanstack/react-router';
import { useState } from 'react';
import { asked, client } from '../api/client';
import type { Image } from '../api/wire';
import { actionOf } from '../parts/ActionButton';
import { ActionMenu } from '../parts/ActionMenu';
import { AskDialog } from '../parts/AskDialog';
import { Facts } from '../parts/Facts';
import { ImageStateLabel } from '../parts/StateLabel';
import { When } from '../parts/When';
import { bytes } from '../show/bytes';
import { span } from '../show/time';
import { words } from '../words';
import { DownloadDialog } from './DownloadDialog';

const { images: say } = words;

export function ImageTable({ images }: { images: Image[] }) {
  return (
    <table className="table" aria-label={say.title}>
      <thead>
        <tr>
          <th scope="col">{say.name}</th>
          <th scope="col">{say.state}</th>
          <th scope="col">{say.template}</th>
          <th scope="col" className="number">
            {say.diskSize}
          </th>
          <th scope="col">{say.booted}</th>
          <th scope="col">{say.created}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {images.map((image) => (
          <Row key={image.id} image={image} />
        ))}
      </tbody>
    </table>
  );
}

function Row({ image }: { image: Image }) {
  const { boot } = image.report;
  return (
    <tr>
      <td data-label={say.name}>
        <ExpandableSection toggleText={image.name} className="image-more">
          <More image={image} />
        </ExpandableSection>
      </td>
      <td data-label={say.state}>
        <ImageStateLabel state={image.state} />
      </td>
      <td data-label={say.template}>
        <Link to="/templates/$id" params={{ id: image.template_id }}>
          {image.template_name}
        </Link>
      </td>
      <td data-label={say.diskSize} className="number">
        {bytes(image.disk_bytes)}
      </td>
      <td data-label={say.booted}>
        {boot ? <span title={boot.text}>{boot.came_up ? say.cameUp : say.notUp}</span> : words.frame.none}
      </td>
      <td data-label={say.created}>
        <When at={image.created_at} />
      </td>
      <td className="row-menu">
        <ImageMenu image={image} />
      </td>
    </tr>
  );
}

function More({ image }: { image: Image }) {
  const { note, conflicts = [], warnings = [], boot, platform } = image.report;
  const list = (lines: string[]) => (
    <ul className="used-by">
      {lines.map((line) => (
        <li key={line}>{line}</li>
      ))}
    </ul>
  );
  return (
    <Facts
      facts={[
        [say.madeOf, list(image.parts.map((part) => part.name))],
        Boolean(image.path) && [say.writtenTo, <code key="path">{image.path}</code>],
        Boolean(platform) && [say.onPlatform, `${platform!.connector_name}: ${platform!.place}`],
        Boolean(platform) && [say.sent, platform!.text],
        [say.format, image.format],
        [say.firmware, words.layers.firmwares[image.firmware]],
        Boolean(note) && [say.report, note],
        conflicts.length > 0 && [say.conflicts, list(conflicts)],
        warnings.length > 0 && [say.warnings, list(warnings)],
        Boolean(boot) && [say.booted, `${boot!.text} (${span(boot!.seconds)})`],
        [
          say.task,
          <Link key="task" to="/tasks/$id" params={{ id: image.task_id }}>
            {say.showTask}
          </Link>,
        ],
      ]}
    />
  );
}

function ImageMenu({ image }: { image: Image }) {
  const [dialog, setDialog] = useState<'download' | 'delete'>();
  const [keep, setKeep] = useState(false);
  const { platform } = image.report;
  const close = () => setDialog(undefined);
  const at = { params: { path: { id: image.id } } };
  return (
    <>
      <ActionMenu
        label={words.settings.more(image.name)}
        entries={[
          { label: say.download, action: actionOf(image.actions, 'download'), onChoose: () => setDialog('download') },
          {
            label: words.frame.delete,
            action: actionOf(image.actions, 'delete'),
            danger: true,
            onChoose: () => setDialog('delete'),
          },
        ]}
      />
      {dialog === 'download' && <DownloadDialog image={image} onClose={close} />}
      {dialog === 'delete' && (
        <AskDialog
          danger
          title={say.deleteTitle(image.name)}
          verb={words.frame.delete}
          onDo={(comment) => asked(client.DELETE('/api/v1/images/{id}', { ...at, body: { comment, keep_machine: keep } }))}
          onClose={close}
        >
          <p>{say.deleteImageText}</p>
          {platform && (
            <>
              {!keep && <p>{say.deleteMachineToo(platform.connector_name)}</p>}
              <Checkbox
                id="delete-keep"
                label={say.keepMachine}
                isChecked={keep}
                onChange={(_, yes) => setKeep(yes)}
              />
            </>
          )}
        </AskDialog>
      )}
    </>
  );
}
