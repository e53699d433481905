// Confirm and Complete of an image template, with the same request for scripts.
import type { Connector, NewTemplate, Template } from '../api/wire';
import { VersionName, VersionNames } from '../layers/VersionName';
import { Facts } from '../parts/Facts';
import { TextField } from '../parts/TextField';
import { curlCommand, templateCommand } from '../wizard/commands';
import { RequestPreview } from '../wizard/RequestPreview';
import { useVersionNames } from '../wizard/useVersionNames';
import { words } from '../words';
import { change } from './templateDraft';
import type { TemplateStepProps } from './TemplateSteps';

const { images: say } = words;

interface Props extends TemplateStepProps {
  body: NewTemplate;
  connectors: Connector[];
  /** The template that is changed, if one is. */
  of?: Template;
}

export function ConfirmTemplateStep({ draft, put, body, connectors, of }: Props) {
  const connector = connectors.find((one) => one.id === draft.connector)?.name;
  const { os_version_id: os, app_version_ids: apps = [], platform_version_id: platform } = body;
  const versions = useVersionNames([os, ...apps, ...(platform ? [platform] : [])].filter((id) => id !== ''));
  const curl = of
    ? curlCommand(window.location.origin, `/api/v1/templates/${of.id}`, change(draft), 'PATCH')
    : curlCommand(window.location.origin, '/api/v1/templates', body);
  return (
    <>
      <p>{say.wizard.lead}</p>
      <Facts
        columns={2}
        facts={[
          [say.wizard.nameLabel, draft.name],
          draft.description !== '' && [say.wizard.description, draft.description],
          [say.os, <VersionName key="os" id={os} />],
          [say.apps, apps.length > 0 ? <VersionNames key="apps" ids={apps} /> : say.none],
          [say.platform, platform ? <VersionName key="platform" id={platform} /> : say.none],
          [say.connector, connector ?? say.none],
          [say.fileName, draft.file || say.fileNameOwn],
          [say.format, draft.format || say.sizeDefault],
          [say.size, draft.size || say.sizeDefault],
          [say.generalize, say.generalizes[draft.generalize]],
        ]}
      />
      <TextField
        label={words.frame.comment}
        help={words.frame.commentHelp}
        value={draft.comment}
        onChange={(comment) => put({ comment })}
      />
      <RequestPreview cli={templateCommand(body, { connector: connector ?? '', versions }, of?.name)} curl={curl} />
    </>
  );
}
