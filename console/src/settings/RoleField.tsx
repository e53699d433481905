// Which role a user or a token has.
import { FormGroup, Radio } from '@patternfly/react-core';
import type { Role } from '../api/wire';
import { words } from '../words';

const { settings: say } = words;
const ROLES = Object.keys(say.roles) as Role[];

export function RoleField({ value, onChange }: { value: Role; onChange: (role: Role) => void }) {
  return (
    <FormGroup role="radiogroup" label={say.role} isStack fieldId="role">
      {ROLES.map((role) => (
        <Radio
          key={role}
          id={`role-${role}`}
          name="role"
          label={say.roles[role]}
          description={say.roleHelp[role]}
          isChecked={value === role}
          onChange={() => onChange(role)}
        />
      ))}
    </FormGroup>
  );
}
