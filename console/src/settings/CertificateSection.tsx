// The server's certificate, and another in its place.
import { ActionGroup, Alert, Form } from '@patternfly/react-core';
import { useMutation, useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { asked, client } from '../api/client';
import { certificateQuery } from '../api/queries';
import { asRefusal } from '../api/refusal';
import type { Certificate } from '../api/wire';
import { tell } from '../frame/notices';
import { ActionButton } from '../parts/ActionButton';
import { Facts } from '../parts/Facts';
import { ProblemAlert } from '../parts/ProblemAlert';
import { Reading } from '../parts/Reading';
import { TextField } from '../parts/TextField';
import { exactly } from '../show/time';
import { useMay } from '../session/useMay';
import { words } from '../words';

const { settings: say } = words;

export function CertificateSection() {
  const certificate = useQuery(certificateQuery);
  return (
    <>
      <p>{say.certificateLead}</p>
      <Reading of={certificate}>{(shown) => <Shown certificate={shown} />}</Reading>
      <Replace />
    </>
  );
}

function Shown({ certificate }: { certificate: Certificate }) {
  const { subject, names, fingerprint, not_before, not_after, self_made, warning } = certificate;
  return (
    <>
      {warning && <Alert component="p" isInline variant="warning" title={warning} />}
      {self_made && <Alert component="p" isInline isPlain variant="info" title={say.selfMade} />}
      <Facts
        columns={2}
        facts={[
          [say.subject, subject],
          names.length > 0 && [say.names, names.join(', ')],
          [say.fingerprint, <code key="fingerprint" className="digest">{fingerprint}</code>],
          [say.validFrom, exactly(not_before)],
          [say.validTo, exactly(not_after)],
        ]}
      />
    </>
  );
}

function Replace() {
  const queries = useQueryClient();
  const [certificate, setCertificate] = useState('');
  const [key, setKey] = useState('');
  const [comment, setComment] = useState('');
  const may = useMay('replace_certificate');
  const replace = useMutation({
    mutationFn: () => asked(client.PUT('/api/v1/certificate', { body: { certificate, key, comment } })),
    onSuccess: (shown) => {
      queries.setQueryData(['certificate'], shown);
      setCertificate('');
      setKey('');
      setComment('');
      tell(say.replaced);
    },
  });
  const wrong = replace.error ? asRefusal(replace.error) : undefined;
  return (
    <Form
      className="narrow"
      onSubmit={(event) => {
        event.preventDefault();
        if (may?.allowed && !replace.isPending) replace.mutate();
      }}
    >
      <h2>{say.replace}</h2>
      <p>{say.replaceLead}</p>
      <ProblemAlert error={replace.error} />
      <TextField
        required
        paragraph
        label={say.pemCertificate}
        value={certificate}
        onChange={setCertificate}
        error={wrong?.field('/certificate')}
        spellCheck={false}
      />
      <TextField
        required
        paragraph
        label={say.pemKey}
        help={say.pemKeyHelp}
        value={key}
        onChange={setKey}
        error={wrong?.field('/key')}
        spellCheck={false}
        autoComplete="off"
      />
      <TextField label={say.comment} help={words.frame.commentHelp} value={comment} onChange={setComment} />
      <ActionGroup>
        <ActionButton type="submit" action={may} isLoading={replace.isPending}>
          {say.replace}
        </ActionButton>
      </ActionGroup>
    </Form>
  );
}
