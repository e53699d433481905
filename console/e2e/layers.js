// Layers and versions for tests that are about something else: made through the API, by the page's own session.
import { randomUUID } from 'node:crypto';
import { api, until } from './browser.js';
import { inGuest } from './guest.js';

/** An OS layer from a disk on the server, done. */
export async function importLayer(page, name, path) {
  const { layer, task } = await api(page, 'POST', '/layers', {
    id: id(),
    kind: 'os',
    name,
    version: { id: id(), name: '1.0' },
    source: { file: path },
  });
  await until(`the import of ${name}`, async () => (await api(page, 'GET', `/tasks/${task.id}`)).state === 'done');
  return layer;
}

/** An image template of an OS layer's only deployable version, published. */
export async function publish(page, layer, name) {
  const { items } = await api(page, 'GET', `/layers/${layer.id}/versions`);
  const os = items.find((version) => version.state === 'deployable');
  const template = await api(page, 'POST', '/templates', { id: id(), name, os_version_id: os.id });
  const { task } = await api(page, 'POST', `/templates/${template.id}/publish`, { image_id: id() });
  await until(`the image of ${name}`, async () => (await api(page, 'GET', `/tasks/${task.id}`)).state === 'done');
  return template;
}

/** A version that waits in its packaging machine: on this host, unless another connector is named. */
export async function addVersion(page, layer, name, where) {
  const connector = where ?? (await api(page, 'GET', '/connectors')).items[0];
  const { version, task } = await api(page, 'POST', `/layers/${layer.id}/versions`, {
    id: id(),
    name,
    connector_id: connector.id,
    packaging_disk: { file_name: 'tiny' },
  });
  const waits = async () => (await api(page, 'GET', `/tasks/${task.id}`)).state === 'action_required';
  await until(`the packaging machine of ${name}`, waits);
  return { version, task };
}

/** What waits in its machine becomes a version, whatever is outstanding: `command` is run in the guest before. */
export async function finalizeAnyway(page, { version }, command) {
  await inGuest(page, version.id, command);
  await api(page, 'POST', `/machines/${version.id}/shut_down`);
  await until('the guest to be off', async () => (await api(page, 'GET', `/machines/${version.id}`)).power === 'off');
  const order = { anyway: true, reason: 'a guest without packages' };
  await api(page, 'POST', `/versions/${version.id}/finalize`, order);
  const state = async () => (await api(page, 'GET', `/versions/${version.id}`)).state;
  await until(`version ${version.name} to be made`, async () => (await state()) === 'deployable');
}

/** An id as the API wants it: a UUIDv7. */
export function id() {
  const time = Date.now().toString(16).padStart(12, '0');
  const rest = randomUUID();
  return `${time.slice(0, 8)}-${time.slice(8)}-7${rest.slice(15)}`;
}
