// A dialog that asks before something is done, with a comment for the audit, and shows why it was refused.
import { Button, Form, Modal, ModalBody, ModalFooter, ModalHeader } from '@patternfly/react-core';
import { useMutation } from '@tanstack/react-query';
import { useId, useState, type ReactNode } from 'react';
import { words } from '../words';
import { ProblemAlert } from './ProblemAlert';
import { TextField } from './TextField';

interface Props {
  title: string;
  /** What is going to happen. */
  children?: ReactNode;
  verb: string;
  danger?: boolean;
  withComment?: boolean;
  wide?: boolean;
  /** Why it cannot be done yet. */
  blocked?: string;
  /** The element to open in; the page when left out. */
  within?: HTMLElement | null;
  onDo: (comment: string) => Promise<unknown>;
  onClose: () => void;
}

export function AskDialog(props: Props) {
  const { title, children, verb, danger, withComment = true, wide, blocked, within, onDo, onClose } = props;
  const [comment, setComment] = useState('');
  const id = useId();
  const doing = useMutation({ mutationFn: () => onDo(comment), onSuccess: onClose });
  return (
    <Modal isOpen variant={wide ? 'medium' : 'small'} onClose={onClose} aria-labelledby={id} appendTo={within ?? undefined}>
      <ModalHeader title={title} labelId={id} />
      <ModalBody>
        <Form
          id={`${id}-form`}
          onSubmit={(event) => {
            event.preventDefault();
            if (!blocked && !doing.isPending) doing.mutate();
          }}
        >
          {doing.error && <ProblemAlert error={doing.error} />}
          {children}
          {withComment && (
            <TextField label={words.frame.comment} value={comment} onChange={setComment} help={words.frame.commentHelp} />
          )}
        </Form>
      </ModalBody>
      <ModalFooter>
        <Button
          type="submit"
          form={`${id}-form`}
          variant={danger ? 'danger' : 'primary'}
          isLoading={doing.isPending}
          isDisabled={doing.isPending || Boolean(blocked)}
        >
          {verb}
        </Button>
        <Button variant="link" onClick={onClose}>
          {words.frame.cancel}
        </Button>
        {blocked && <span className="quiet">{blocked}</span>}
      </ModalFooter>
    </Modal>
  );
}
