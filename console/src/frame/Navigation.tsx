// The pages, on the left.
import { Nav, NavGroup, NavItem, NavList, PageSidebar, PageSidebarBody } from '@patternfly/react-core';
import { Link, useLocation } from '@tanstack/react-router';
import { words } from '../words';

const { frame } = words;

const PLACES = [
  ['/layers/os', frame.osLayers],
  ['/layers/platform', frame.platformLayers],
  ['/layers/app', frame.appLayers],
] as const;

const REST = [
  ['/machines', frame.machines],
  ['/connectors', frame.connectors],
  ['/tasks', frame.tasks],
  ['/audit', frame.audit],
  ['/settings', frame.settings],
] as const;

/** All pages that have a place in the navigation. */
export const PAGES = [['/', frame.home] as const, ...PLACES, ...REST];

export function Navigation() {
  const { pathname } = useLocation();
  const item = ([to, label]: (typeof PAGES)[number]) => (
    <NavItem key={to} isActive={to === '/' ? pathname === '/' : under(pathname, to)}>
      <Link to={to}>{label}</Link>
    </NavItem>
  );
  return (
    <PageSidebar>
      <PageSidebarBody>
        <Nav aria-label={frame.navigation}>
          <NavList>{item(PAGES[0]!)}</NavList>
          <NavGroup title={frame.layers}>{PLACES.map(item)}</NavGroup>
          <NavList className="nav-rest">{REST.map(item)}</NavList>
        </Nav>
      </PageSidebarBody>
    </PageSidebar>
  );
}

function under(pathname: string, to: string): boolean {
  const wizard = to === '/layers/os' && pathname.startsWith('/create-os-layer');
  return wizard || pathname === to || pathname.startsWith(`${to}/`);
}
