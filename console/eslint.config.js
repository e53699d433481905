// Lints of the console: types, hooks, accessibility.
import a11y from 'eslint-plugin-jsx-a11y';
import hooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['dist', 'src/api/schema.ts'] },
  ...tseslint.configs.recommended,
  hooks.configs.flat['recommended-latest'] ?? hooks.configs['recommended-latest'],
  a11y.flatConfigs.recommended,
  {
    rules: {
      // A page may hold one field that a person came for: dialogs, sign-in, the palette.
      'jsx-a11y/no-autofocus': 'off',
    },
  },
);
