import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GatewayProcess } from './tour/gateway.ts';
import { writeTourSettings } from './tour/settings.ts';
import { story } from './tour/story.ts';

/** `npm run tour`: plays the whole story against a gateway of its own, in a temporary home on free ports. */
const plain = process.argv.includes('--json') || !process.stdout.isTTY;
const colour = (code: number, text: string) => (plain ? text : `\u001b[${code}m${text}\u001b[0m`);
const say = (text: string) => {
  if (!process.argv.includes('--json')) process.stdout.write(text);
};

const started = Date.now();
const home = mkdtempSync(join(tmpdir(), 'gatewrit-tour-'));
const { config, change } = writeTourSettings(home);
const seen: { step: string; pass: boolean; ms: number; seen: string }[] = [];
let gateway: GatewayProcess | null = null;

try {
  say('Starting a gateway in a temporary home …\n');
  gateway = await GatewayProcess.start({ home, config });
  say(`Ready at ${gateway.ready.mcp} after ${((Date.now() - started) / 1000).toFixed(1)} s\n\n`);
  for (const { title, play } of story(gateway, change)) {
    const begun = Date.now();
    try {
      const result = await play();
      seen.push({ step: title, pass: true, ms: Date.now() - begun, seen: result });
      say(`${colour(32, 'PASS')}  ${title}\n      ${result.slice(0, 140)}\n`);
    } catch (error) {
      seen.push({ step: title, pass: false, ms: Date.now() - begun, seen: (error as Error).message });
      say(
        `${colour(31, 'FAIL')}  ${title}\n      ${(error as Error).message.split('\n').slice(0, 12).join('\n      ')}\n`,
      );
    }
  }
} finally {
  await gateway?.stop();
}

const failed = seen.filter(({ pass }) => !pass).length;
if (process.argv.includes('--json'))
  process.stdout.write(`${JSON.stringify({ steps: seen, passed: seen.length - failed, failed })}\n`);
say(`\n${seen.length - failed} of ${seen.length} steps passed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
if (failed > 0 && gateway)
  say(`\nThe gateway wrote:\n${gateway.log().split('\n').slice(-30).join('\n')}\n(home kept: ${home})\n`);
else rmSync(home, { recursive: true, force: true });
process.exitCode = failed > 0 ? 1 : 0;
