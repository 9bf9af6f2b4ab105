/** What to do about a weakness of the settings, by how its sentence begins (sections.ts `weaknessesOf`). */
const REMEDIES: readonly (readonly [begins: string, remedy: string])[] = [
  ['authentication: everybody', 'set authentication.driver to jwt and name your issuer under authentication.issuers'],
  [
    'authentication: development',
    'take authentication.development out and name your issuer under authentication.issuers',
  ],
  [
    'authentication: an issuer may name audiences',
    'empty audiences of the issuer and let it make tokens for this gateway',
  ],
  ['authentication: an issuer may leave out', 'take "absent" out of typ of the issuer'],
  [
    'authorization.mode',
    'look at what would have been refused (gatewrit policy draft), mend the policy, then set authorization.mode to enforce',
  ],
  [
    'validation.mode',
    'look at what would have been refused (gatewrit audit list), mend callers or schemas, then set validation.mode to enforce',
  ],
  ['validation.formats', 'set validation.formats to assert'],
  ['redaction.profile', 'set redaction.profile to default'],
  ['redaction.mode', 'look at what was found (gatewrit audit list), then set redaction.mode to enforce'],
  [
    'redaction.requestSecrets',
    'set redaction.requestSecrets to block; name fields that take one in redaction.secretFields',
  ],
  ['redaction.types', 'take that line out of redaction.types: values are replaced then'],
  ['registry.unobserved', 'set registry.unobserved to withhold'],
  ['transport.hsts', 'set transport.hstsMaxAgeSeconds to 31536000'],
  ['transport.origins', 'serve these pages by https and list them so'],
  [
    'transport.maxBodyBytes',
    'set transport.maxBodyBytes to 1048576; raise maxArgumentBytes of the one tool that needs more',
  ],
  ['transport.', 'take that time out of the transport section: the default is short enough for good peers'],
  ['limits.driver', 'set limits.driver to window'],
  ['upstreams.', 'reach it by https; name its authority in ca when it is one of yours'],
  ['store.driver', 'set store.driver to sqlite'],
];

/** A sentence for the operator; where none was written the way back is the default, which is strong. */
export function remedyOf(weakness: string): string {
  const known = REMEDIES.find(([begins]) => weakness.startsWith(begins));
  return known?.[1] ?? 'take the setting out of gatewrit.yaml: the default is the strong one';
}
