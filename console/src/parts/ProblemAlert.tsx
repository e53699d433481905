// Why a request was refused, in the server's words, where the request was made.
import { Alert, AlertActionLink } from '@patternfly/react-core';
import { useNavigate } from '@tanstack/react-router';
import { asRefusal } from '../api/refusal';
import { words } from '../words';

interface Props {
  error: unknown;
  title?: string;
  onRetry?: () => void;
}

export function ProblemAlert({ error, title = words.frame.problem, onRetry }: Props) {
  const navigate = useNavigate();
  if (!error) return null;
  const refusal = asRefusal(error);
  const { task_id: task, request_id: request } = refusal.problem;
  const links = [
    onRetry && (
      <AlertActionLink key="retry" onClick={onRetry}>
        {words.frame.retry}
      </AlertActionLink>
    ),
    task && (
      <AlertActionLink key="task" onClick={() => void navigate({ to: '/tasks/$id', params: { id: task } })}>
        {words.frame.openTask}
      </AlertActionLink>
    ),
  ].filter(Boolean);
  return (
    <Alert component="p" isInline variant="danger" title={title} actionLinks={links.length > 0 ? links : undefined}>
      <p>{refusal.message}</p>
      {refusal.code === 'internal' && request && <p>{words.frame.requestId(request)}</p>}
    </Alert>
  );
}
