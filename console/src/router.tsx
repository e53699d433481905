// Every address of the console. What a page shows beyond its path (filter, sort, step of a wizard) stands in the query of
// the address, so that any view can be sent to someone else.
import { createRootRoute, createRoute, createRouter, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router';
import { Frame } from './frame/Frame';
import { NotHerePage } from './frame/NotHere';
import { LAYER_SORTS, LAYER_STATES } from './layers/choices';
import { SignedIn } from './session/SignedIn';

const text = (value: unknown) => (typeof value === 'string' && value !== '' ? value : undefined);
const oneOf =
  <T extends string>(...values: T[]) =>
  (value: unknown) =>
    values.find((known) => known === value);

/** What the query of an address says, all of it optional. */
const optional =
  <T,>(read: (search: Record<string, unknown>) => T) =>
  (search: Record<string, unknown>): Partial<T> =>
    read(search);

const root = createRootRoute({ component: Outlet, notFoundComponent: NotHerePage });

const setup = createRoute({
  getParentRoute: () => root,
  path: '/setup',
  validateSearch: optional((search) => ({ code: text(search.code) })),
  component: lazyRouteComponent(() => import('./session/SetupPage'), 'SetupPage'),
});
const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: optional((search) => ({ to: text(search.to) })),
  component: lazyRouteComponent(() => import('./session/SignInPage'), 'SignInPage'),
});

const signedIn = createRoute({ getParentRoute: () => root, id: 'signed-in', component: SignedIn });
const framed = createRoute({ getParentRoute: () => signedIn, id: 'framed', component: Frame });
const inFrame = () => framed;

const home = createRoute({
  getParentRoute: inFrame,
  path: '/',
  component: lazyRouteComponent(() => import('./home/HomePage'), 'HomePage'),
});

const layers = createRoute({
  getParentRoute: inFrame,
  path: '/layers/$kind',
  validateSearch: optional((search) => ({
    q: text(search.q),
    state: oneOf(...LAYER_STATES)(search.state),
    sort: oneOf(...LAYER_SORTS)(search.sort),
    down: search.down === true ? true : undefined,
    view: oneOf('tiles', 'table')(search.view),
  })),
  component: lazyRouteComponent(() => import('./layers/LayersPage'), 'LayersPage'),
});
// A link that does not know a layer's kind says `any`: the page then goes to the right address.
const layer = createRoute({
  getParentRoute: inFrame,
  path: '/layers/$kind/$id',
  validateSearch: optional((search) => ({ version: text(search.version) })),
  component: lazyRouteComponent(() => import('./layers/LayerPage'), 'LayerPage'),
});
const createLayer = createRoute({
  getParentRoute: inFrame,
  path: '/create-os-layer',
  validateSearch: optional((search) => ({ step: text(search.step) })),
  component: lazyRouteComponent(() => import('./wizard/CreateLayerPage'), 'CreateLayerPage'),
});
const packageLayer = createRoute({
  getParentRoute: inFrame,
  path: '/create-layer/$kind',
  validateSearch: optional((search) => ({ step: text(search.step) })),
  component: lazyRouteComponent(() => import('./wizard/PackageLayerPage'), 'PackageLayerPage'),
});
const addVersion = createRoute({
  getParentRoute: inFrame,
  path: '/layers/$kind/$id/add-version',
  validateSearch: optional((search) => ({ step: text(search.step), base: text(search.base) })),
  component: lazyRouteComponent(() => import('./wizard/AddVersionPage'), 'AddVersionPage'),
});

const templates = createRoute({
  getParentRoute: inFrame,
  path: '/templates',
  validateSearch: optional((search) => ({ q: text(search.q) })),
  component: lazyRouteComponent(() => import('./images/TemplatesPage'), 'TemplatesPage'),
});
const createTemplate = createRoute({
  getParentRoute: inFrame,
  path: '/create-template',
  validateSearch: optional((search) => ({ step: text(search.step) })),
  component: lazyRouteComponent(() => import('./images/TemplateWizard'), 'CreateTemplatePage'),
});
const template = createRoute({
  getParentRoute: inFrame,
  path: '/templates/$id',
  component: lazyRouteComponent(() => import('./images/TemplatePage'), 'TemplatePage'),
});
const editTemplate = createRoute({
  getParentRoute: inFrame,
  path: '/templates/$id/edit',
  validateSearch: optional((search) => ({ step: text(search.step) })),
  component: lazyRouteComponent(() => import('./images/TemplateWizard'), 'EditTemplatePage'),
});
const plan = createRoute({
  getParentRoute: inFrame,
  path: '/templates/$id/plan',
  validateSearch: optional((search) => ({
    q: text(search.q),
    tab: oneOf('paths', 'conflicts', 'warnings', 'layers')(search.tab),
  })),
  component: lazyRouteComponent(() => import('./images/PlanPage'), 'PlanPage'),
});
const images = createRoute({
  getParentRoute: inFrame,
  path: '/images',
  validateSearch: optional((search) => ({ q: text(search.q), template: text(search.template) })),
  component: lazyRouteComponent(() => import('./images/ImagesPage'), 'ImagesPage'),
});

const machines = createRoute({
  getParentRoute: inFrame,
  path: '/machines',
  component: lazyRouteComponent(() => import('./machines/MachinesPage'), 'MachinesPage'),
});
const machine = createRoute({
  getParentRoute: inFrame,
  path: '/machines/$id',
  validateSearch: optional((search) => ({ tab: oneOf('screen', 'files', 'serial')(search.tab) })),
  component: lazyRouteComponent(() => import('./machines/MachinePage'), 'MachinePage'),
});
const screen = createRoute({
  getParentRoute: () => signedIn,
  path: '/machines/$id/screen',
  component: lazyRouteComponent(() => import('./machines/ScreenPage'), 'ScreenPage'),
});

const connectors = createRoute({
  getParentRoute: inFrame,
  path: '/connectors',
  component: lazyRouteComponent(() => import('./connectors/ConnectorsPage'), 'ConnectorsPage'),
});
const newConnector = createRoute({
  getParentRoute: inFrame,
  path: '/connectors/new',
  component: lazyRouteComponent(() => import('./connectors/ConnectorPage'), 'NewConnectorPage'),
});
const connector = createRoute({
  getParentRoute: inFrame,
  path: '/connectors/$id',
  component: lazyRouteComponent(() => import('./connectors/ConnectorPage'), 'ConnectorPage'),
});

const schedules = createRoute({
  getParentRoute: inFrame,
  path: '/schedules',
  component: lazyRouteComponent(() => import('./schedules/SchedulesPage'), 'SchedulesPage'),
});

const tasks = createRoute({
  getParentRoute: inFrame,
  path: '/tasks',
  validateSearch: optional((search) => ({ state: text(search.state), layer: text(search.layer) })),
  component: lazyRouteComponent(() => import('./tasks/TasksPage'), 'TasksPage'),
});
const task = createRoute({
  getParentRoute: inFrame,
  path: '/tasks/$id',
  component: lazyRouteComponent(() => import('./tasks/TaskPage'), 'TaskPage'),
});
const audit = createRoute({
  getParentRoute: inFrame,
  path: '/audit',
  validateSearch: optional((search) => ({ q: text(search.q) })),
  component: lazyRouteComponent(() => import('./audit/AuditPage'), 'AuditPage'),
});

const settings = createRoute({
  getParentRoute: inFrame,
  path: '/settings',
  beforeLoad: () => {
    throw redirect({ to: '/settings/$section', params: { section: 'repository' } });
  },
});
const settingsSection = createRoute({
  getParentRoute: inFrame,
  path: '/settings/$section',
  component: lazyRouteComponent(() => import('./settings/SettingsPage'), 'SettingsPage'),
});

const tree = root.addChildren([
  setup,
  signIn,
  signedIn.addChildren([
    screen,
    framed.addChildren([
      home,
      layers,
      layer,
      createLayer,
      packageLayer,
      addVersion,
      templates,
      createTemplate,
      template,
      editTemplate,
      plan,
      images,
      machines,
      machine,
      connectors,
      newConnector,
      connector,
      schedules,
      tasks,
      task,
      audit,
      settings,
      settingsSection,
    ]),
  ]),
]);

export function createConsoleRouter() {
  return createRouter({ routeTree: tree, defaultPreload: 'intent', scrollRestoration: true });
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>;
  }
}
