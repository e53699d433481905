// The top line: mark, palette, who is signed in.
import {
  Button,
  Masthead as Bar,
  MastheadBrand,
  MastheadContent,
  MastheadLogo,
  MastheadMain,
  MastheadToggle,
  PageToggleButton,
} from '@patternfly/react-core';
import SearchIcon from '@patternfly/react-icons/dist/esm/icons/search-icon';
import { Link } from '@tanstack/react-router';
import { words } from '../words';
import { AccountMenu } from './AccountMenu';

export function Masthead({ onPalette }: { onPalette: () => void }) {
  return (
    <Bar display={{ default: 'inline' }}>
      <MastheadMain>
        <MastheadToggle>
          <PageToggleButton isHamburgerButton aria-label={words.frame.toggleNavigation} />
        </MastheadToggle>
        <MastheadBrand>
          <MastheadLogo component={(props) => <Link {...props} to="/" />} className="brand">
            <img src="/mark.svg" alt="" width={28} height={28} />
            <span>{words.frame.product}</span>
          </MastheadLogo>
        </MastheadBrand>
      </MastheadMain>
      <MastheadContent>
        <div className="masthead-content">
          <Button
            variant="secondary"
            className="palette-button"
            icon={<SearchIcon />}
            aria-label={words.frame.paletteOpen}
            onClick={onPalette}
          >
            <span className="wide-only">{words.frame.palette}</span>
            <kbd className="wide-only">Ctrl K</kbd>
          </Button>
          <AccountMenu />
        </div>
      </MastheadContent>
    </Bar>
  );
}
