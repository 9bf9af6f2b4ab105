import { BlockList, isIP } from 'node:net';

/** How far metadata of an upstream may lead this gateway; each includes the one before. */
export const REACHES = ['public', 'private', 'loopback'] as const;
export type Reach = (typeof REACHES)[number];

/** `never`: no service lives there but what must not be asked: cloud metadata, multicast, reserved ranges. */
export type AddressKind = Reach | 'never';

function ranges(...list: readonly string[]): BlockList {
  const blocks = new BlockList();
  for (const entry of list) {
    const [network = '', prefix = ''] = entry.split('/');
    blocks.addSubnet(network, Number(prefix), network.includes(':') ? 'ipv6' : 'ipv4');
  }
  return blocks;
}

const LOOPBACK = ranges('127.0.0.0/8', '::1/128');
const PRIVATE = ranges('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7');
const NEVER = ranges(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
  // The address of cloud metadata services over IPv6: unique local, yet no neighbour of ours.
  'fd00:ec2::254/128',
);

/** What an address is; text that is none counts as `never`. IPv4 inside IPv6 is judged as the IPv4 it leads to. */
export function addressKind(address: string): AddressKind {
  const bare = address.startsWith('[') && address.endsWith(']') ? address.slice(1, -1) : address;
  const version = isIP(bare);
  if (version === 0 || bare.includes('%')) return 'never';
  const embedded = version === 6 ? embeddedIPv4(bare) : null;
  if (embedded !== null) return addressKind(embedded);
  const family = version === 6 ? 'ipv6' : 'ipv4';
  if (NEVER.check(bare, family)) return 'never';
  if (LOOPBACK.check(bare, family)) return 'loopback';
  if (PRIVATE.check(bare, family)) return 'private';
  return 'public';
}

export function mayReach(kind: AddressKind, reach: Reach): boolean {
  return kind !== 'never' && REACHES.indexOf(kind) <= REACHES.indexOf(reach);
}

/** The IPv4 address that a mapped, NAT64, 6to4 or compatible IPv6 address leads to, or null. */
function embeddedIPv4(address: string): string | null {
  const groups = groupsOf(address);
  if (groups === null) return null;
  const zeros = (from: number, to: number) => groups.slice(from, to).every((group) => group === 0);
  if (zeros(0, 5) && groups[5] === 0xffff) return dotted(groups[6]!, groups[7]!);
  // NAT64 (64:ff9b::/96) and 6to4 (2002::/16) are routes to an IPv4 host.
  if (groups[0] === 0x64 && groups[1] === 0xff9b && zeros(2, 6)) return dotted(groups[6]!, groups[7]!);
  if (groups[0] === 0x2002) return dotted(groups[1]!, groups[2]!);
  // ::a.b.c.d, long deprecated; :: and ::1 are addresses of their own.
  if (zeros(0, 6) && !(groups[6] === 0 && groups[7]! <= 1)) return dotted(groups[6]!, groups[7]!);
  return null;
}

function dotted(high: number, low: number): string {
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The eight groups of a valid IPv6 address. */
function groupsOf(address: string): number[] | null {
  // The URL parser writes every spelling in one way: hexadecimal groups, one `::` at most.
  const canonical = URL.parse(`http://[${address}]/`)?.hostname.slice(1, -1);
  if (canonical === undefined) return null;
  const [head = '', tail] = canonical.split('::');
  const read = (part: string) => (part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16)));
  const before = read(head);
  const after = tail === undefined ? [] : read(tail);
  return [...before, ...new Array<number>(8 - before.length - after.length).fill(0), ...after];
}
