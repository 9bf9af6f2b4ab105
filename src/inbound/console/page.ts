import { html } from 'hono/html';

/** The console is not built yet: one plain page that says so and names what works today. No script, no style, no cookie. */
export function consolePage({ mcp }: { mcp: string }) {
  return html`<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>Gatewrit</title></head>
<body>
<h1>Gatewrit</h1>
<p>This gateway is running. Agents reach it at <code>${mcp}</code>.</p>
<p>There are no console pages yet. Until then, at the command line (in a checkout write <code>npm run gatewrit --</code> for <code>gatewrit</code>):</p>
<ul>
<li>calls that wait for a person: <code>gatewrit approvals list --as approver1</code></li>
<li>what is served and what is withheld: <code>gatewrit registry list</code></li>
<li>proof of the log: <code>gatewrit audit verify</code></li>
</ul>
</body>
</html>`;
}
