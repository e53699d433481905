// Requests written as what a person could type: the command line, and curl. Pure.
import type { AddVersion, NewLayer } from '../api/wire';

/** A word of a POSIX shell: quoted when it needs to be. */
export function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Words on lines that go on, an option with its value on each. */
function lines(head: string, options: (string | false)[]): string {
  return [head, ...options.filter((option) => option !== false)].join(' \\\n    ');
}

function option(name: string, value: string | number | null | undefined): string | false {
  return value === undefined || value === null || value === '' ? false : `--${name} ${word(String(value))}`;
}

/** `names` are those of the layer, the connector and the base version, in place of their ids. */
export function addVersionCommand(body: AddVersion, names: { layer: string; connector: string; base?: string }): string {
  return lines(`shale version add ${word(names.layer)} ${word(body.name)}`, [
    option('connector', names.connector),
    option('disk', body.packaging_disk.file_name),
    option('format', body.packaging_disk.format),
    option('base', names.base),
    option('size', body.max_layer_size_gib),
    option('description', body.description),
    option('comment', body.comment),
  ]);
}

/** `file` is the disk on the server, or the name of the file that is uploaded. */
export function importCommand(body: NewLayer, file: string): string {
  return lines(`shale layer import ${word(body.name)}`, [
    option('version', body.version.name),
    option('file', file),
    option('format', body.format),
    body.drop_free_space === false && '--keep-free-space',
    option('description', body.description),
    option('version-description', body.version.description),
    option('comment', body.comment),
  ]);
}

/** The request itself. `origin` is this console's own address. */
export function curlCommand(origin: string, path: string, body: unknown): string {
  return lines(`curl ${word(origin + path)}`, [
    `-H "Authorization: Bearer $SHALE_TOKEN"`,
    `-H 'Content-Type: application/json'`,
    `--data ${word(JSON.stringify(body, null, 2))}`,
  ]);
}
