import type { Source } from './folder.ts';

/** Rules that hold whatever the folder says. Forbids only: they can take away, never grant. */
export const BUILT_IN: Source = {
  file: '(built in)',
  text: `
@id("gatewrit-own-tenant")
@description("Nobody reaches a target of another tenant.")
forbid (principal, action, resource)
unless { principal.tenant == resource.tenant };

@id("gatewrit-own-name")
@description("The server name gatewrit belongs to admin operations, and they to it.")
forbid (principal, action, resource)
unless { (resource.server == "gatewrit") == (resource.kind == "admin") };
`,
};

/** Ids that begin so belong to the rules above. */
export const BUILT_IN_PREFIX = 'gatewrit-';
