/**
 * The source an address stands for in windows and back-off: an IPv4 address as it is, an IPv6 address by its /64,
 * since one subscriber owns a whole /64 and could use a new address for each guess. IPv4-mapped addresses are IPv4.
 * @param address of the peer of the socket, never from a header
 */
export function sourceOf(address: string): string {
  if (!address.includes(':')) return address;
  const lower = address.toLowerCase();
  if (lower.startsWith('::ffff:') && lower.includes('.')) return lower.slice(7);
  const zone = lower.indexOf('%');
  const [head = '', tail] = (zone === -1 ? lower : lower.slice(0, zone)).split('::', 2);
  const left = head === '' ? [] : head.split(':');
  if (tail === undefined) return prefix(left);
  const right = tail === '' ? [] : tail.split(':');
  const groups = right.length + (tail.includes('.') ? 1 : 0);
  const zeros = new Array<string>(Math.max(0, 8 - left.length - groups)).fill('0');
  return prefix([...left, ...zeros, ...right]);
}

function prefix(groups: readonly string[]): string {
  return `${groups
    .slice(0, 4)
    .map((group) => group.replace(/^0{1,3}(?=.)/, ''))
    .join(':')}::/64`;
}
