// Where the console starts.
import '@patternfly/react-core/dist/styles/base.css';
import './style.css';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { whenSignedOut } from './api/client';
import { asRefusal } from './api/refusal';
import { followSystemTheme } from './frame/theme';
import { createConsoleRouter } from './router';

followSystemTheme();

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      // Events say what has changed; reading again for other reasons is only a net below them.
      staleTime: 15_000,
      retry: (count, error) => asRefusal(error).code === 'offline' && count < 5,
    },
  },
});
whenSignedOut(() => void queries.invalidateQueries({ queryKey: ['session'] }));

const router = createConsoleRouter();

createRoot(document.getElementById('root')!).render(
  <StrictMode>
    <QueryClientProvider client={queries}>
      <RouterProvider router={router} />
    </QueryClientProvider>
  </StrictMode>,
);
