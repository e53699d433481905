// The steps of a task, in order, each with its state and its latest note.
import type { Step } from '../api/wire';
import { words } from '../words';

const { tasks: say } = words;

export function Steps({ steps }: { steps: Step[] }) {
  return (
    <ol className="steps" aria-label={say.steps}>
      {steps.map((step) => (
        <li key={step.name} className={`step step-${step.state}`}>
          <span className="step-name">{say.stepName[step.name] ?? step.name}</span>
          <span className="step-state">{say.step[step.state]}</span>
          {step.note && <p className="quiet">{step.note}</p>}
        </li>
      ))}
    </ol>
  );
}
