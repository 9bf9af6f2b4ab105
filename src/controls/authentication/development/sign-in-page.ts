import type { DevelopmentPerson } from './people.ts';

/** No script, no other origin, no frame; the form may end at any loopback or https client (it redirects there). */
export const PAGE_HEADERS = {
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'cache-control': 'no-store',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** The page on which somebody at this machine says who he is. Everything about the client is its own claim. */
export function signInPage(request: {
  readonly client: string;
  readonly redirect: string;
  readonly resource: string;
  readonly scopes: readonly string[];
  readonly people: readonly DevelopmentPerson[];
}): string {
  const people = request.people
    .map(
      ({ subject, about }) =>
        `<button name="person" value="${escapeHtml(subject)}"><b>${escapeHtml(subject)}</b> ${escapeHtml(about)}</button>`,
    )
    .join('\n');
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Development sign-in</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{font:16px/1.5 system-ui;max-width:34rem;margin:3rem auto;padding:0 1rem}button{display:block;width:100%;margin:.5rem 0;padding:.7rem;font:inherit;text-align:left}code{word-break:break-all}</style>
</head><body>
<h1>Who are you?</h1>
<p>Development issuer: no passwords, this machine only.</p>
<p><code>${escapeHtml(request.client)}</code> asks for <code>${escapeHtml(request.scopes.join(' ') || 'no scope')}</code>
at <code>${escapeHtml(request.resource)}</code> and returns to <code>${escapeHtml(request.redirect)}</code>.</p>
<form method="post">
${people}
<button name="person" value="">Cancel</button>
</form>
</body></html>
`;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
