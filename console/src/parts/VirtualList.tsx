// A long list of which only what is in sight is drawn. It scrolls by itself, and asks for more when its end is near.
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, type ReactNode } from 'react';

interface Props<T> {
  items: T[];
  /** The usual height of an item, in pixels; items may be of other heights. */
  row: number;
  label: string;
  keyOf: (item: T) => string;
  /** Fetches the next page; absent when there is none, or it is coming. */
  more?: () => void;
  children: (item: T) => ReactNode;
}

const AHEAD = 10;

export function VirtualList<T>({ items, row, label, keyOf, more, children }: Props<T>) {
  const scroller = useRef<HTMLDivElement>(null);
  // The compiler's rule knows that this hook's functions must not be memoized; nothing here memoizes them.
  // eslint-disable-next-line react-hooks/incompatible-library
  const list = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => row,
    getItemKey: (index) => keyOf(items[index]!),
    overscan: AHEAD,
  });
  const shown = list.getVirtualItems();
  const last = shown.at(-1)?.index ?? 0;
  useEffect(() => {
    if (more && last >= items.length - AHEAD) more();
  }, [more, last, items.length]);
  return (
    // What scrolls must be reachable by keyboard.
    // eslint-disable-next-line jsx-a11y/no-noninteractive-tabindex
    <div ref={scroller} className="virtual" tabIndex={0} role="region" aria-label={label}>
      <ul style={{ height: list.getTotalSize() }}>
        {shown.map((item) => (
          <li
            key={item.key}
            ref={list.measureElement}
            data-index={item.index}
            className="virtual-item"
            style={{ transform: `translateY(${item.start}px)` }}
          >
            {children(items[item.index]!)}
          </li>
        ))}
      </ul>
    </div>
  );
}
