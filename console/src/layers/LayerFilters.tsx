// Which layers are shown, in which order, and how. All of it stands in the address.
import { Button, FormSelect, FormSelectOption, SearchInput, ToggleGroup, ToggleGroupItem } from '@patternfly/react-core';
import ListIcon from '@patternfly/react-icons/dist/esm/icons/list-icon';
import SortAmountDownIcon from '@patternfly/react-icons/dist/esm/icons/sort-amount-down-icon';
import SortAmountUpIcon from '@patternfly/react-icons/dist/esm/icons/sort-amount-up-icon';
import ThLargeIcon from '@patternfly/react-icons/dist/esm/icons/th-large-icon';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { FILTER } from '../frame/useShortcuts';
import { words } from '../words';
import { LAYER_SORTS, LAYER_STATES } from './choices';

const { layers: say } = words;

/** `whole` says that no more layers match than are shown. */
export function LayerFilters({ shown, whole }: { shown: number; whole: boolean }) {
  const search = useSearch({ from: '/signed-in/framed/layers/$kind' });
  const navigate = useNavigate();
  const put = (change: Partial<typeof search>) =>
    void navigate({ to: '.', search: { ...search, ...change }, replace: true });
  return (
    <div className="filters">
      <SearchInput
        className={FILTER}
        aria-label={say.filter}
        placeholder={say.filter}
        value={search.q ?? ''}
        onChange={(_, q) => put({ q: q || undefined })}
        onClear={() => put({ q: undefined })}
      />
      <FormSelect
        aria-label={say.stateFilter}
        value={search.state ?? ''}
        onChange={(_, state) => put({ state: LAYER_STATES.find((known) => known === state) })}
      >
        <FormSelectOption value="" label={say.anyState} />
        {LAYER_STATES.map((state) => (
          <FormSelectOption key={state} value={state} label={say.state[state]} />
        ))}
      </FormSelect>
      <FormSelect
        aria-label={say.sort}
        value={search.sort ?? 'name'}
        onChange={(_, sort) => {
          // Names from A on; the newest and the greatest first.
          put({ sort: LAYER_SORTS.find((known) => known === sort), down: sort === 'name' ? undefined : true });
        }}
      >
        {LAYER_SORTS.map((sort) => (
          <FormSelectOption key={sort} value={sort} label={say.sorts[sort]} />
        ))}
      </FormSelect>
      <Button
        variant="plain"
        aria-label={search.down ? say.descending : say.ascending}
        icon={search.down ? <SortAmountUpIcon /> : <SortAmountDownIcon />}
        onClick={() => put({ down: search.down ? undefined : true })}
      />
      <ToggleGroup aria-label={say.view}>
        {(['tiles', 'table'] as const).map((view) => (
          <ToggleGroupItem
            key={view}
            icon={view === 'tiles' ? <ThLargeIcon /> : <ListIcon />}
            aria-label={say[view]}
            buttonId={`view-${view}`}
            isSelected={(search.view ?? 'tiles') === view}
            onChange={() => put({ view })}
          />
        ))}
      </ToggleGroup>
      <span className="quiet filters-count" role="status">
        {say.shown(shown, whole)}
      </span>
    </div>
  );
}
