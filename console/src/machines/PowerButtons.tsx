// Power on, shut down, power off: what the server allows with the machine now.
import { useState } from 'react';
import { useQueryClient } from '@tanstack/react-query';
import { asked, client } from '../api/client';
import type { Machine } from '../api/wire';
import { useSend } from '../frame/useSend';
import { ActionButton, actionOf } from '../parts/ActionButton';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';

const { machines: say } = words;

interface Props {
  machine: Machine;
  /** The actions to offer; all when left out. */
  only?: string[];
  /** What powering on is called here. */
  powerOn?: string;
}

export function PowerButtons({ machine, only, powerOn = say.powerOn }: Props) {
  const queries = useQueryClient();
  const [asking, setAsking] = useState(false);
  const at = { params: { path: { id: machine.id } } };
  const put = (changed: Machine) => queries.setQueryData(['machine', machine.id], changed);
  const on = useSend(async () => put(await asked(client.POST('/api/v1/machines/{id}/power_on', at))));
  const down = useSend(async () => put(await asked(client.POST('/api/v1/machines/{id}/shut_down', at))));
  const offered = (name: string) => (only && !only.includes(name) ? undefined : actionOf(machine.actions, name));
  const running = machine.power === 'running';
  return (
    <>
      {!running && (
        <ActionButton
          variant="secondary"
          action={offered('power_on')}
          isLoading={on.isPending}
          onClick={() => on.mutate()}
        >
          {powerOn}
        </ActionButton>
      )}
      {running && (
        <ActionButton
          variant="secondary"
          action={offered('shut_down')}
          isLoading={down.isPending}
          onClick={() => down.mutate()}
        >
          {say.shutDown}
        </ActionButton>
      )}
      {running && (
        <ActionButton variant="secondary" isDanger action={offered('power_off')} onClick={() => setAsking(true)}>
          {say.powerOff}
        </ActionButton>
      )}
      {asking && (
        <AskDialog
          danger
          title={say.powerOffTitle}
          verb={say.powerOff}
          withComment={false}
          onDo={async () => put(await asked(client.POST('/api/v1/machines/{id}/power_off', at)))}
          onClose={() => setAsking(false)}
        >
          <p>{say.powerOffText}</p>
        </AskDialog>
      )}
    </>
  );
}
