// The same request as a command line and as curl, to be taken into a script.
import { ClipboardCopyButton, CodeBlock, CodeBlockAction, CodeBlockCode, Tab, Tabs, TabTitleText } from '@patternfly/react-core';
import { useId, useState } from 'react';
import { words } from '../words';

const { wizard: say } = words;

interface Props {
  cli: string;
  curl: string;
}

export function RequestPreview({ cli, curl }: Props) {
  const [tab, setTab] = useState<number | string>('cli');
  return (
    <section className="request-preview">
      <h3>{say.sameBy}</h3>
      <Tabs activeKey={tab} onSelect={(_, key) => setTab(key)} aria-label={say.sameBy}>
        <Tab eventKey="cli" title={<TabTitleText>{say.cli}</TabTitleText>}>
          <Code text={cli} />
        </Tab>
        <Tab eventKey="curl" title={<TabTitleText>{say.curl}</TabTitleText>}>
          <Code text={curl} />
        </Tab>
      </Tabs>
    </section>
  );
}

function Code({ text }: { text: string }) {
  const id = useId();
  return (
    <CodeBlock
      actions={
        <CodeBlockAction>
          <ClipboardCopyButton
            id={`${id}-copy`}
            textId={`${id}-code`}
            variant="plain"
            aria-label={words.frame.copy}
            onClick={() => void navigator.clipboard.writeText(text)}
          >
            {words.frame.copy}
          </ClipboardCopyButton>
        </CodeBlockAction>
      }
    >
      <CodeBlockCode id={`${id}-code`}>{text}</CodeBlockCode>
    </CodeBlock>
  );
}
