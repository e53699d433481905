// A machine's screen in a window of its own, with nothing around it.
import { useQuery } from '@tanstack/react-query';
import { useParams } from '@tanstack/react-router';
import { useEffect } from 'react';
import { machineQuery } from '../api/queries';
import { Notices } from '../frame/Notices';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ScreenView } from './ScreenView';

export function ScreenPage() {
  const { id } = useParams({ from: '/signed-in/machines/$id/screen' });
  const machine = useQuery(machineQuery(id));
  const name = machine.data?.name;
  useEffect(() => {
    if (name) document.title = words.frame.pageTitle(name);
  }, [name]);
  return (
    <main className="screen-page">
      <h1 className="pf-v6-screen-reader">{name && words.machines.screenOf(name)}</h1>
      <Reading of={machine}>{(shown) => <ScreenView machine={shown} alone />}</Reading>
      <Notices />
    </main>
  );
}
