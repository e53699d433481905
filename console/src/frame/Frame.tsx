// What is around every page: masthead, navigation, notices, the palette, and the tasks below.
import { Banner, Page, SkipToContent } from '@patternfly/react-core';
import { Outlet } from '@tanstack/react-router';
import { useCallback, useState } from 'react';
import { TaskDrawer } from '../tasks/TaskDrawer';
import { useDrawer } from '../tasks/useDrawer';
import { words } from '../words';
import { ANNOUNCER } from './announce';
import { Masthead } from './Masthead';
import { Navigation } from './Navigation';
import { Notices } from './Notices';
import { Palette } from './Palette';
import { useEvents } from './useEvents';
import { useShortcuts } from './useShortcuts';

const MAIN = 'main';

export function Frame() {
  const online = useEvents();
  const [paletteOpen, setPaletteOpen] = useState(false);
  const drawer = useDrawer();
  const openPalette = useCallback(() => setPaletteOpen(true), []);
  useShortcuts({ onPalette: openPalette, onTasks: drawer.toggle });
  return (
    <div className="frame">
      <Page
        isManagedSidebar
        isContentFilled
        mainContainerId={MAIN}
        masthead={<Masthead onPalette={openPalette} />}
        sidebar={<Navigation />}
        skipToContent={<SkipToContent href={`#${MAIN}`}>{words.frame.skip}</SkipToContent>}
      >
        {!online && (
          <Banner status="warning" screenReaderText={words.frame.problem}>
            {words.frame.offline}
          </Banner>
        )}
        <Outlet />
      </Page>
      <TaskDrawer drawer={drawer} />
      {paletteOpen && <Palette onClose={() => setPaletteOpen(false)} />}
      <Notices />
      <div id={ANNOUNCER} role="status" aria-live="polite" className="pf-v6-screen-reader" />
    </div>
  );
}
