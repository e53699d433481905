// Light or dark, as the system says, also when it changes its mind.

const DARK = 'pf-v6-theme-dark';

export function followSystemTheme() {
  const dark = window.matchMedia('(prefers-color-scheme: dark)');
  const apply = () => document.documentElement.classList.toggle(DARK, dark.matches);
  dark.addEventListener('change', apply);
  apply();
}
