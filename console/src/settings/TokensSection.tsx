// API tokens: named, with a role, expiring, their secret shown once.
import KeyIcon from '@patternfly/react-icons/dist/esm/icons/key-icon';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { tokensQuery } from '../api/queries';
import type { Token } from '../api/wire';
import { ActionMenu } from '../parts/ActionMenu';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { Nothing } from '../parts/Nothing';
import { Reading } from '../parts/Reading';
import { When } from '../parts/When';
import { useMay } from '../session/useMay';
import { words } from '../words';
import { DeleteTokenDialog, NewTokenDialog, SecretDialog } from './TokenDialogs';

const { settings: say } = words;

export function TokensSection() {
  const tokens = useQuery(tokensQuery);
  const [making, setMaking] = useState(false);
  const [secret, setSecret] = useState<string>();
  const [deleting, setDeleting] = useState<Token>();
  const may = useMay('create_token');
  const make = (
    <ActionButton action={may} onClick={() => setMaking(true)}>
      {say.newToken}
    </ActionButton>
  );
  return (
    <>
      <p>{say.tokensLead}</p>
      <Reading of={tokens}>
        {(all) =>
          all.length === 0 ? (
            <Nothing icon={KeyIcon} title={say.noTokens} text={say.noTokensText}>
              {make}
            </Nothing>
          ) : (
            <>
              <div className="buttons">{make}</div>
              <TokenTable tokens={all} onDelete={setDeleting} />
            </>
          )
        }
      </Reading>
      {making && <NewTokenDialog onMade={setSecret} onClose={() => setMaking(false)} />}
      {secret !== undefined && <SecretDialog secret={secret} onClose={() => setSecret(undefined)} />}
      {deleting && <DeleteTokenDialog token={deleting} onClose={() => setDeleting(undefined)} />}
    </>
  );
}

function TokenTable({ tokens, onDelete }: { tokens: Token[]; onDelete: (token: Token) => void }) {
  return (
    <table className="table" aria-label={say.tokens}>
      <thead>
        <tr>
          <th scope="col">{say.tokenName}</th>
          <th scope="col">{say.role}</th>
          <th scope="col">{say.by}</th>
          <th scope="col">{say.created}</th>
          <th scope="col">{say.expires}</th>
          <th scope="col">{say.lastUsed}</th>
          <td />
        </tr>
      </thead>
      <tbody>
        {tokens.map((token) => (
          <tr key={token.id}>
            <td data-label={say.tokenName}>{token.name}</td>
            <td data-label={say.role}>{say.roles[token.role]}</td>
            <td data-label={say.by}>{token.created_by}</td>
            <td data-label={say.created}>
              <When at={token.created_at} />
            </td>
            <td data-label={say.expires}>
              <Day at={token.expires_at} />
            </td>
            <td data-label={say.lastUsed}>
              <When at={token.last_used_at} />
            </td>
            <td className="row-menu">
              <ActionMenu
                label={say.more(token.name)}
                entries={[
                  {
                    label: say.delete,
                    action: actionOf(token.actions, 'delete'),
                    danger: true,
                    onChoose: () => onDelete(token),
                  },
                ]}
              />
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Day({ at }: { at: string }) {
  return <time dateTime={at}>{new Date(at).toLocaleDateString(undefined, { dateStyle: 'medium' })}</time>;
}
