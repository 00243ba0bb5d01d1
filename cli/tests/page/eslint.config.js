// Rules for the page and its tests. Types are checked by tsc.
import globals from 'globals';

const rules = {
  'no-undef': 'error', 'no-unused-vars': ['error', { argsIgnorePattern: '^_' }], 'no-var': 'error', 'prefer-const': 'error',
  'no-shadow': 'off', 'no-implicit-globals': 'error', 'no-unreachable': 'error', 'no-dupe-keys': 'error',
  'no-fallthrough': 'error', 'no-self-assign': 'error', 'no-constant-condition': ['error', { checkLoops: false }],
  eqeqeq: 'error', 'no-eval': 'error', 'no-implied-eval': 'error', 'no-new-func': 'error', 'max-lines': ['error', 800],
  // Texts of programs are data: no markup is made of strings.
  'no-restricted-properties': ['error', ...['innerHTML', 'outerHTML', 'insertAdjacentHTML', 'write', 'cssText'].map((property) => ({ property }))],
};

export default [
  { ignores: ['**/node_modules/**'] },
  { files: ['**/*.js'], languageOptions: { ecmaVersion: 2023, sourceType: 'module', globals: globals.browser }, rules },
  { files: ['**/tests/page/**/*.js'], languageOptions: { globals: { ...globals.node, ...globals.browser } }, rules },
];
