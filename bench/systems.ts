import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { Child } from './child.ts';
import { makeHome, type Surroundings } from './home.ts';
import type { Pinning } from './machine.ts';
import type { System } from './measure.ts';
import { settingsOf, type Variant } from './settings.ts';
import type { GatewayStart } from './systems/gateway.ts';

export const DIRECT = 'upstream, direct';
export const RELAY = 'relay';
export const RELAY_TLS = 'relay, TLS 1.3';
export const RELAY_RECORDS = 'relay, records';
export const GATEWAY = 'gatewrit';
export const GATEWAY_TLS = 'gatewrit, TLS 1.3';
export const GATEWAY_OTHER = 'gatewrit, the other';

/** The relay a system is compared with: the one that speaks as it does. */
export function relayOf(system: string): string {
  return system === RELAY_TLS || system === GATEWAY_TLS ? RELAY_TLS : RELAY;
}

/** Folder in memory for the variant whose disk never waits; there is none on every machine. */
export const MEMORY_FOLDER = '/dev/shm';

interface GatewayOptions {
  readonly secure?: boolean;
  readonly timed?: boolean;
  readonly variant?: Variant;
  /** Folder of another checkout whose gateway is started instead. */
  readonly checkout?: string;
}

/** Starts and stops the processes of a run. */
export class Systems {
  readonly #folder: string;
  readonly #pinning: Pinning;
  readonly #surroundings: Surroundings;
  readonly #upstream: Child;
  readonly #running: Child[] = [];
  readonly #homes: string[] = [];

  private constructor(folder: string, pinning: Pinning, surroundings: Surroundings, upstream: Child) {
    this.#folder = folder;
    this.#pinning = pinning;
    this.#surroundings = surroundings;
    this.#upstream = upstream;
    this.#running.push(upstream);
  }

  static async open(folder: string, pinning: Pinning, surroundings: Surroundings): Promise<Systems> {
    return new Systems(folder, pinning, surroundings, await Child.start('upstream', 'upstream', [], pinning.rest));
  }

  async load(): Promise<Child> {
    return this.#keep(await Child.start('load', 'load', [], this.#pinning.rest));
  }

  /** A second upstream, on the core of the systems: what the others could reach at best. */
  async direct(): Promise<System> {
    const child = await this.#keep(await Child.start(DIRECT, 'upstream', [], this.#pinning.system));
    return { name: DIRECT, secure: false, child, upstream: child, anonymous: false };
  }

  async relay(secure: boolean): Promise<System> {
    const { cert, key } = this.#surroundings.certificates;
    const name = secure ? RELAY_TLS : RELAY;
    const args = [String(this.#upstream.port), ...(secure ? [cert, key] : [])];
    const child = await this.#keep(await Child.start(name, 'relay', args, this.#pinning.system));
    return { name, secure, child, upstream: this.#upstream, anonymous: false };
  }

  /** The relay that leaves the two records of each call, and does nothing else. */
  async recordingRelay(): Promise<System> {
    const args = [String(this.#upstream.port), join(this.#folder, 'records')];
    const child = await this.#keep(await Child.start(RELAY_RECORDS, 'relay', args, this.#pinning.system));
    return { name: RELAY_RECORDS, secure: false, child, upstream: this.#upstream, anonymous: false };
  }

  async gateway(options: GatewayOptions = {}): Promise<System> {
    const { secure = false, timed = false, variant, checkout } = options;
    const name = checkout ? GATEWAY_OTHER : (variant?.name ?? (secure ? GATEWAY_TLS : GATEWAY));
    const under = variant?.inMemory ? MEMORY_FOLDER : this.#folder;
    const home = join(under, `gatewrit-bench-${process.pid}-${this.#homes.length}`);
    this.#homes.push(home);
    await makeHome(home);
    const { jwks, certificates } = this.#surroundings;
    const settings = settingsOf({ jwks, upstream: this.#upstream.port, changes: variant?.changes ?? {} });
    const start: GatewayStart = { home, settings, certificates: secure ? certificates : null, timed };
    const bench = checkout && join(checkout, 'bench');
    const child = await this.#keep(
      await Child.start(name, 'gateway', [JSON.stringify(start)], this.#pinning.system, bench),
    );
    return { name, secure, child, upstream: this.#upstream, anonymous: variant?.anonymous ?? false };
  }

  async stop(systems: readonly System[]): Promise<void> {
    await Promise.all(systems.map((system) => system.child.stop()));
  }

  async close(): Promise<void> {
    await Promise.all(this.#running.map((child) => child.stop()));
    for (const home of this.#homes) rmSync(home, { recursive: true, force: true });
  }

  #keep(child: Child): Child {
    this.#running.push(child);
    return child;
  }
}
