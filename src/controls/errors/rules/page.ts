import { type DiagnosticRule, rule } from './rule.ts';

/** Error pages, banners of servers, lines of logs. */
export const PAGE_RULES: readonly DiagnosticRule[] = [
  rule(
    'error page',
    ['<'],
    /<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]|<title>|<pre[\s>]|<h1[\s>]|<\?xml[^>]{0,100}\?>\s{0,20}<(?:Error|soap)|<soap:Fault|<faultstring/i,
  ),
  rule(
    'banner',
    ['/'],
    /\b(?:nginx|apache|openresty|gunicorn|uvicorn|hypercorn|werkzeug|express|kestrel|microsoft-iis|jetty|tomcat|undertow|caddy|envoy|haproxy|php|python|cpython|python-requests|aiohttp|okhttp|openssl|django|rails|puma|axios|undici|node|cloudfront|varnish)\/v?\d/i,
  ),
  rule(
    'log line',
    ['error', 'warn', 'debug', 'info', 'fatal', 'trace'],
    /\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d[.,]\d{3,9}Z?.{0,60}\b(?:ERROR|WARN|WARNING|DEBUG|INFO|FATAL|TRACE)\b|\b(?:ERROR|WARN|DEBUG|INFO|FATAL)\s{0,3}\[[\w.:-]{1,100}\]|\[(?:ERROR|WARN|DEBUG|FATAL)\]/,
  ),
  rule(
    'error page',
    ['<error>', 'whitelabel', 'werkzeug', 'django', 'server error in', 'microsoft .net'],
    /<error>\s{0,5}<code>|whitelabel error page|werkzeug|django settings|server error in '|microsoft \.net/i,
  ),
];
