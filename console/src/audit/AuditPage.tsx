// Audit: who did what, when, with which comment.
import { Button, PageSection, SearchInput } from '@patternfly/react-core';
import HistoryIcon from '@patternfly/react-icons/dist/esm/icons/history-icon';
import { useInfiniteQuery } from '@tanstack/react-query';
import { Link, useNavigate, useSearch } from '@tanstack/react-router';
import { auditQuery } from '../api/queries';
import type { AuditEntry } from '../api/wire';
import { FILTER } from '../frame/useShortcuts';
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { exactly } from '../show/time';
import { words } from '../words';

const { audit: say } = words;

export function AuditPage() {
  const { q = '' } = useSearch({ from: '/signed-in/framed/audit' });
  const navigate = useNavigate();
  const audit = useInfiniteQuery(auditQuery);
  const put = (next: string) => void navigate({ to: '/audit', search: { q: next || undefined }, replace: true });
  return (
    <>
      <PageTop title={say.title} lead={say.lead} />
      <PageSection isFilled>
        <div className="filters">
          <SearchInput
            className={FILTER}
            aria-label={say.filter}
            placeholder={say.filter}
            value={q}
            onChange={(_, next) => put(next)}
            onClear={() => put('')}
          />
        </div>
        <Reading of={audit}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.items);
            const found = all.filter((entry) => matches(entry, q));
            if (all.length === 0) return <NoAudit />;
            return (
              <>
                {found.length === 0 ? (
                  <Nothing title={say.notFound} text={say.notFoundText} />
                ) : (
                  <AuditTable entries={found} />
                )}
                {audit.hasNextPage && (
                  <Button
                    variant="link"
                    isLoading={audit.isFetchingNextPage}
                    onClick={() => void audit.fetchNextPage()}
                  >
                    {words.frame.showMore}
                  </Button>
                )}
              </>
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function NoAudit() {
  return (
    <Nothing icon={HistoryIcon} title={say.nothing} text={say.nothingText}>
      <LinkButton to="/create-os-layer">{words.layers.create.os}</LinkButton>
    </Nothing>
  );
}

function matches({ who, action, object_kind, object_name, comment }: AuditEntry, q: string): boolean {
  const text = [who, action, object_kind, object_name, comment].join(' ').toLowerCase();
  return text.includes(q.toLowerCase());
}

function AuditTable({ entries }: { entries: AuditEntry[] }) {
  return (
    <table className="table" aria-label={say.table}>
      <thead>
        <tr>
          <th scope="col">{say.when}</th>
          <th scope="col">{say.who}</th>
          <th scope="col">{say.action}</th>
          <th scope="col">{say.object}</th>
          <th scope="col">{say.comment}</th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.seq}>
            <td data-label={say.when}>
              <time dateTime={entry.at}>{exactly(entry.at)}</time>
            </td>
            <td data-label={say.who}>{entry.who}</td>
            <td data-label={say.action}>{entry.action.replaceAll('_', ' ')}</td>
            <td data-label={say.object}>
              <ObjectName entry={entry} />
            </td>
            <td data-label={say.comment}>{entry.comment || words.frame.none}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function ObjectName({ entry }: { entry: AuditEntry }) {
  const { object_kind: kind, object_id: id, object_name: name } = entry;
  if (kind === 'layer') {
    return (
      <Link to="/layers/$kind/$id" params={{ kind: 'any', id }}>
        {name}
      </Link>
    );
  }
  if (kind === 'task') {
    return (
      <Link to="/tasks/$id" params={{ id }}>
        {name}
      </Link>
    );
  }
  return (
    <span>
      {name} {name !== kind && <span className="quiet">{kind}</span>}
    </span>
  );
}
