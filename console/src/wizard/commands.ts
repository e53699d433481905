// Requests written as what a person could type: the command line, and curl. Pure.
import type { AddVersion, NewLayer, NewSchedule, NewTemplate, Unattended } from '../api/wire';

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

/** Names in place of ids. */
interface Names {
  connector: string;
  /** LAYER/VERSION by the version's id. */
  versions: ReadonlyMap<string, string>;
}

/** Options that name versions: what the packaging machine has. */
function versionOptions(body: MachineVersions, { versions }: Names): (string | false)[] {
  const named = (id: string) => versions.get(id) ?? id;
  return [
    body.os_version_id ? option('os', named(body.os_version_id)) : false,
    ...(body.prerequisite_version_ids ?? []).map((id) => option('with', named(id))),
    body.platform_version_id ? option('platform', named(body.platform_version_id)) : false,
  ];
}

type MachineVersions = Pick<AddVersion, 'os_version_id' | 'prerequisite_version_ids' | 'platform_version_id'>;

/** `file` stands for the exclusions, which the command line reads from a file. */
export function packageCommand(kind: string, body: NewLayer, names: Names, file = 'exclusions.toml'): string {
  const { packaging } = body;
  return lines(`shale layer ${kind} create ${word(body.name)}`, [
    option('version', body.version.name),
    ...versionOptions(packaging ?? {}, names),
    option('connector', names.connector),
    option('disk', packaging?.packaging_disk.file_name),
    option('format', packaging?.packaging_disk.format),
    option('size', packaging?.max_layer_size_gib),
    body.exclusions ? option('exclusions', file) : false,
    option('description', body.description),
    option('version-description', body.version.description),
    option('comment', body.comment),
  ]);
}

/** `of` is the name of the template that is changed, if one is. */
export function templateCommand(body: NewTemplate, { connector, versions }: Names, of?: string): string {
  const named = (id: string | null | undefined) => (id ? (versions.get(id) ?? id) : undefined);
  const edits = of !== undefined;
  const apps = body.app_version_ids ?? [];
  return lines(edits ? `shale template edit ${word(of)}` : `shale template create ${word(body.name)}`, [
    edits && of !== body.name && option('name', body.name),
    option('os', named(body.os_version_id)),
    ...apps.map((id) => option('app', named(id))),
    edits && apps.length === 0 && '--no-apps',
    option('platform', named(body.platform_version_id)),
    edits && !body.platform_version_id && '--no-platform',
    option('connector', connector),
    edits && connector === '' && '--no-connector',
    option('disk', body.disk?.file_name),
    option('format', body.disk?.format),
    option('size', body.disk?.size_gib),
    edits ? option('generalize', body.generalize) : body.generalize === 'generalize' && '--generalize',
    option('description', body.description),
    option('comment', body.comment),
  ]);
}

/** `files` are the names of what lies beside the script; the command line reads all of them from files. */
function scriptOptions(unattended: Unattended | null | undefined, files: string[]): (string | false)[] {
  if (!unattended) return [];
  return [
    option('script', unattended.script.name),
    ...files.map((file) => option('attach', file)),
    unattended.on_failure === 'discard' && option('on-failure', 'discard'),
    option('time-limit', unattended.time_limit_minutes),
  ];
}

/** As for a version that is added by hand, and when. */
export function scheduleCommand(body: NewSchedule, names: Names & { layer: string; files: string[] }): string {
  const { version } = body;
  return lines(`shale schedule create ${word(body.name)}`, [
    option('layer', names.layer),
    option('when', body.when),
    option('time-zone', body.time_zone),
    option('version', version.name),
    option('connector', names.connector),
    option('disk', version.packaging_disk.file_name),
    option('format', version.packaging_disk.format),
    ...versionOptions(version, names),
    option('size', version.max_layer_size_gib),
    option('description', version.description),
    ...scriptOptions(version.unattended, names.files),
    option('comment', body.comment),
  ]);
}

/** `names` also has those of the layer, the base version and the files beside a script. */
export function addVersionCommand(
  body: AddVersion,
  names: Names & { layer: string; base?: string; files?: string[] },
): string {
  return lines(`shale version add ${word(names.layer)} ${word(body.name)}`, [
    option('connector', names.connector),
    option('disk', body.packaging_disk.file_name),
    option('format', body.packaging_disk.format),
    option('base', names.base),
    ...versionOptions(body, names),
    option('size', body.max_layer_size_gib),
    option('description', body.description),
    ...scriptOptions(body.unattended, names.files ?? []),
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
export function curlCommand(origin: string, path: string, body: unknown, method?: 'PATCH'): string {
  return lines(`curl ${method ? `-X ${method} ` : ''}${word(origin + path)}`, [
    `-H "Authorization: Bearer $SHALE_TOKEN"`,
    `-H 'Content-Type: application/json'`,
    `--data ${word(JSON.stringify(body, null, 2))}`,
  ]);
}
