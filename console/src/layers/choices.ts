// What the list of layers can be filtered and sorted by, as it stands in the address.

export const LAYER_SORTS = ['name', 'changed', 'created', 'versions'] as const;
export const LAYER_STATES = ['deployable', 'open'] as const;
