// Images ▸ Images: all layered images, the newest first.
import { PageSection, SearchInput } from '@patternfly/react-core';
import HddIcon from '@patternfly/react-icons/dist/esm/icons/hdd-icon';
import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { imagesQuery } from '../api/queries';
import { FILTER } from '../frame/useShortcuts';
import { LinkButton } from '../parts/LinkButton';
import { MoreButton } from '../parts/MoreButton';
import { Nothing } from '../parts/Nothing';
import { PageTop } from '../parts/PageTop';
import { Reading } from '../parts/Reading';
import { words } from '../words';
import { ImageTable } from './ImageTable';

const { images: say } = words;

export function ImagesPage() {
  const { q, template } = useSearch({ from: '/signed-in/framed/images' });
  const navigate = useNavigate();
  const images = useInfiniteQuery(imagesQuery({ text: q, template_id: template }));
  const put = (text: string) => void navigate({ to: '.', search: { template, q: text || undefined }, replace: true });
  const filtered = Boolean(q || template);
  return (
    <>
      <PageTop title={say.title} lead={say.lead} />
      <PageSection isFilled>
        <Reading of={images}>
          {({ pages }) => {
            const all = pages.flatMap((page) => page.items);
            if (all.length === 0 && !filtered) return <NoImages />;
            return (
              <>
                <div className="filters">
                  <SearchInput
                    className={FILTER}
                    aria-label={say.filterImages}
                    placeholder={say.filterImages}
                    value={q ?? ''}
                    onChange={(_, text) => put(text)}
                    onClear={() => put('')}
                  />
                  {template && (
                    <LinkButton variant="link" to="/images">
                      {say.allImages}
                    </LinkButton>
                  )}
                </div>
                {all.length > 0 ? <ImageTable images={all} /> : <Nothing title={say.notFound} text={say.notFoundText} />}
                <MoreButton of={images} />
              </>
            );
          }}
        </Reading>
      </PageSection>
    </>
  );
}

function NoImages() {
  return (
    <Nothing icon={HddIcon} title={say.nothing} text={say.nothingText}>
      <LinkButton to="/templates">{say.toTemplates}</LinkButton>
    </Nothing>
  );
}
