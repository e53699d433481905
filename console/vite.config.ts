// Builds the console to dist/, and serves it for development with a proxy to a server that runs already.
//
//   SHALE_DATA=/path/to/data SHALE_URL=https://127.0.0.1:8443 npm run dev
//
// With SHALE_DATA the proxy adds the token of that data directory, so that nobody needs to sign in while developing.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import react from '@vitejs/plugin-react';
import { defineConfig, type Plugin } from 'vite';

/** Takes out the fonts that PatternFly brings: the console uses the system's. */
const systemFonts: Plugin = {
  name: 'system-fonts',
  enforce: 'pre',
  transform(code, id) {
    return id.endsWith('react-core/dist/styles/base.css') ? code.replace(/@font-face\s*\{[^}]*\}/g, '') : undefined;
  },
};

const data = process.env.SHALE_DATA;
const headers = data ? { authorization: `Bearer ${readFileSync(join(data, 'token'), 'utf8').trim()}` } : undefined;

export default defineConfig({
  plugins: [systemFonts, react()],
  build: { modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 900 },
  server: {
    proxy: {
      '/api': { target: process.env.SHALE_URL ?? 'https://127.0.0.1:8443', secure: false, ws: true, headers },
    },
  },
});
