// What a person says when image templates are published, and the request that it becomes for each. Pure.
import type { Connector, ConnectorKind, PublishImage, Template } from '../api/wire';

/** Every template's own connector decides: the choice where several are published. */
export const OWN = 'own';

export interface PublishDraft {
  /** A connector's id, `OWN`, or nothing: kept in the repository. */
  target: string;
  /** Where it is written on the server; nothing: it is not. */
  path?: string;
  /** Where it is started once; nothing: it is not. */
  bootOn?: string;
}

/** The connectors whose kind can do something. */
export function able(connectors: Connector[], kinds: ConnectorKind[], can: 'takes_images' | 'boots_images'): Connector[] {
  const names = new Set(kinds.filter((kind) => kind[can]).map(({ kind }) => kind));
  return connectors.filter(({ kind }) => names.has(kind));
}

/** Where images go unless one says otherwise. */
export function usualTarget(templates: Template[], taking: Connector[]): string {
  const [template, another] = templates;
  if (another) return taking.length > 0 ? OWN : '';
  return taking.find(({ id }) => id === template?.connector_id)?.id ?? '';
}

/** The request that publishes one of them. */
export function publication(draft: PublishDraft, id: string, comment: string): PublishImage {
  const own = draft.target === OWN;
  return {
    image_id: id,
    connector_id: own ? undefined : draft.target || undefined,
    upload: own ? undefined : draft.target !== '',
    path: draft.path,
    boot_and_check: draft.bootOn !== undefined,
    boot_connector_id: draft.bootOn,
    comment,
  };
}
