// Download: a layered image as a disk, in any format, made as it is sent.
import { useState } from 'react';
import type { ExportFormat, Image } from '../api/wire';
import { AskDialog } from '../parts/AskDialog';
import { words } from '../words';
import { FormatSelect } from './FormatSelect';

const { images: say } = words;

export function DownloadDialog({ image, onClose }: { image: Image; onClose: () => void }) {
  const [format, setFormat] = useState<ExportFormat | ''>(image.format);
  return (
    <AskDialog
      title={say.downloadTitle(image.name)}
      verb={say.download}
      withComment={false}
      onDo={async () => window.location.assign(`/api/v1/images/${image.id}/disk?format=${format}`)}
      onClose={onClose}
    >
      <p>{say.downloadLead}</p>
      <FormatSelect value={format} onChange={setFormat} />
    </AskDialog>
  );
}
