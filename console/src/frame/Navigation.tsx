// The pages, on the left.
import { Nav, NavGroup, NavItem, NavList, PageSidebar, PageSidebarBody } from '@patternfly/react-core';
import { Link, useLocation } from '@tanstack/react-router';
import { words } from '../words';

const { frame } = words;

type Place = [to: string, label: string];

const LAYERS: Place[] = [
  ['/layers/os', frame.osLayers],
  ['/layers/platform', frame.platformLayers],
  ['/layers/app', frame.appLayers],
];

const IMAGES: Place[] = [
  ['/templates', frame.templates],
  ['/images', frame.images],
];

const REST: Place[] = [
  ['/machines', frame.machines],
  ['/connectors', frame.connectors],
  ['/schedules', frame.schedules],
  ['/tasks', frame.tasks],
  ['/audit', frame.audit],
  ['/settings', frame.settings],
];

/** All pages that have a place in the navigation. */
export const PAGES: Place[] = [['/', frame.home], ...LAYERS, ...IMAGES, ...REST];

/** Wizards that stand at an address of their own, by the page they belong to. */
const WIZARDS: Record<string, string> = {
  '/create-os-layer': '/layers/os',
  '/create-layer/platform': '/layers/platform',
  '/create-layer/app': '/layers/app',
  '/create-template': '/templates',
};

export function Navigation() {
  const { pathname } = useLocation();
  const item = ([to, label]: Place) => (
    <NavItem key={to} isActive={to === '/' ? pathname === '/' : under(pathname, to)}>
      <Link to={to}>{label}</Link>
    </NavItem>
  );
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label={frame.navigation}>
          <NavList>{item(PAGES[0]!)}</NavList>
          <NavGroup title={frame.layers}>{LAYERS.map(item)}</NavGroup>
          <NavGroup title={frame.images}>{IMAGES.map(item)}</NavGroup>
          <NavList className="nav-rest">{REST.map(item)}</NavList>
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
}

function under(pathname: string, to: string): boolean {
  return WIZARDS[pathname] === to || pathname === to || pathname.startsWith(`${to}/`);
}
