// A wizard: its steps on the left (above, on a phone), the step's fields, Back and Next. The address holds the step.
import { Alert, Button, Form, PageSection, Tooltip } from '@patternfly/react-core';
import ExclamationCircleIcon from '@patternfly/react-icons/dist/esm/icons/exclamation-circle-icon';
import { useEffect, useRef, type FormEvent, type ReactNode } from 'react';
import type { Action } from '../api/wire';
import { words } from '../words';

const { wizard: say } = words;

export interface WizardStep {
  id: string;
  name: string;
  body: ReactNode;
  /** Why the next step cannot come yet. */
  missing?: string;
  /** Whether the server found something wrong in this step. */
  wrong?: boolean;
}

/** The steps of a wizard that leaves some out. */
export function stepsOf(steps: (WizardStep | false)[]): WizardStep[] {
  return steps.filter((step) => step !== false);
}

interface Props {
  steps: WizardStep[];
  /** The step that is shown; the first one when there is none by that name. */
  at: string | undefined;
  onStep: (id: string) => void;
  finish: string;
  finishing: boolean;
  /** What the server says of what the wizard is for: a link may lead here although it is refused. */
  action: Pick<Action, 'allowed' | 'reason'> | undefined;
  onFinish: () => void;
  onCancel: () => void;
}

export function WizardFrame({ steps, at, onStep, finish, finishing, action, onFinish, onCancel }: Props) {
  const asked = Math.max(0, steps.findIndex((step) => step.id === at));
  // A link may lead to any step, but never past one that still needs something.
  const firstMissing = steps.findIndex((step) => step.missing);
  const index = firstMissing === -1 ? asked : Math.min(asked, firstMissing);
  const step = steps[index]!;
  const last = index === steps.length - 1;
  const refused = action?.allowed === false ? (action.reason ?? undefined) : undefined;
  const missing = step.missing ?? (last ? refused : undefined);
  const body = useRef<HTMLDivElement>(null);
  const shown = useRef(step.id);
  useEffect(() => {
    if (shown.current === step.id) return;
    shown.current = step.id;
    const field = body.current?.querySelector<HTMLElement>('input:not([type=hidden]), select, textarea');
    (field ?? body.current)?.focus();
  }, [step.id]);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (missing || finishing) return;
    if (last) onFinish();
    else onStep(steps[index + 1]!.id);
  };
  return (
    <PageSection isFilled className="wizard">
      <StepList steps={steps} index={index} reachable={firstMissing === -1 ? steps.length : firstMissing} onStep={onStep} />
      <Form className="wizard-form" onSubmit={submit} noValidate>
        <div ref={body} className="wizard-body" tabIndex={-1} aria-labelledby="wizard-step-title" role="group">
          <p className="quiet wizard-count">{say.step(index + 1, steps.length)}</p>
          <h2 id="wizard-step-title">{step.name}</h2>
          {refused && <Alert component="p" isInline variant="warning" title={refused} />}
          {step.body}
        </div>
        <div className="wizard-footer">
          <NextButton missing={missing} label={last ? finish : say.next} busy={finishing} />
          <Button variant="secondary" isDisabled={index === 0} onClick={() => onStep(steps[index - 1]!.id)}>
            {say.back}
          </Button>
          <Button variant="link" onClick={onCancel}>
            {words.frame.cancel}
          </Button>
        </div>
      </Form>
    </PageSection>
  );
}

function NextButton({ missing, label, busy }: { missing?: string; label: string; busy: boolean }) {
  const button = (
    <Button type="submit" isAriaDisabled={Boolean(missing) || busy} isLoading={busy}>
      {label}
    </Button>
  );
  return missing ? <Tooltip content={missing}>{button}</Tooltip> : button;
}

interface StepListProps {
  steps: WizardStep[];
  index: number;
  reachable: number;
  onStep: (id: string) => void;
}

function StepList({ steps, index, reachable, onStep }: StepListProps) {
  return (
    <nav className="wizard-steps" aria-label={say.steps}>
      <ol>
        {steps.map((step, place) => (
          <li key={step.id}>
            <button
              type="button"
              aria-current={place === index ? 'step' : undefined}
              disabled={place > reachable}
              onClick={() => onStep(step.id)}
            >
              <span className="wizard-number">{place + 1}</span>
              <span className="wizard-name">{step.name}</span>
              {step.wrong && (
                <span className="wizard-wrong" title={say.wrongHere}>
                  <ExclamationCircleIcon aria-label={say.wrongHere} />
                </span>
              )}
            </button>
          </li>
        ))}
      </ol>
    </nav>
  );
}
