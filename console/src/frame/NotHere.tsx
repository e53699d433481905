// An address that leads nowhere: as a page of its own, or within the frame.
import { LinkButton } from '../parts/LinkButton';
import { Nothing } from '../parts/Nothing';
import { words } from '../words';

export function NotHerePage() {
  return (
    <main className="door">
      <NotHere />
    </main>
  );
}

export function NotHere() {
  return (
    <Nothing isPage title={words.frame.notHere} text={words.frame.notHereText}>
      <LinkButton to="/">{words.frame.toHome}</LinkButton>
    </Nothing>
  );
}
