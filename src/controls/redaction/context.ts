import type { Place } from './types.ts';

/** Words that say what a bare number is: member names first, then a few words each side (dlp.md section 3). */
const AROUND_BEFORE = 48;
const AROUND_AFTER = 14;

export const CARD_WORDS =
  /\b(?:cards?|visa|mastercard|amex|maestro|discover|diners|jcb|unionpay|cc|ccn|pan|credit|debit|kreditkarte|karte|carte|tarjeta|kreditkort)\b/;
export const SSN_WORDS = /\b(?:ssn|social ?security|social|soc sec|tin|itin|taxpayer)\b/;
export const PHONE_WORDS =
  /\b(?:phones?|telephones?|tel|mobiles?|cell|cellphone|fax|sms|whatsapp|hotline|voicemail|landline|telefon|telefonnummer|handy|mobil|rufnummer|portable|telefono|movil|msisdn|gsm|helpline|pager|switchboard|dial)\b/;
/** Verbs of telephoning: enough for a number written like one; a bare row of digits needs the whole phrase before it. */
export const PHONE_VERBS =
  /\b(?:call|calls|calling|called|reach|reached|ring|texting|answering|messages?|registered|anruf|anrufen|appeler|llamar)\b/;
export const PHONE_PHRASE =
  /\b(?:call|calls|calling|called|reach|reached|ring|text|texting|answering|messages?|registered|contact)(?: [a-z']{1,12}){0,3} (?:at|on|to|number|line)[ :]{0,2}$|\bcall(?: me| us| him| her| them| back)?[ :]{1,2}$/;
/** Words that name a place or a person as often as a telephone: only right before the number. */
export const PHONE_LABELS =
  /\b(?:office|desk|contact|home|work|number|direct|main|front desk|assistant)[\s:.\-(#]{1,3}$/;
export const PHONE_WORDS_AFTER = /^[\s\-(,:]{0,3}(?:office|fax|mobile|cell|phone|tel|home|work|desk)\b/;
export const ADDRESS_WORDS =
  /\b(?:ip|ipv4|ipv6|addr|address|host|client|server|peer|source|src|dst|dest|gateway|remote)\b/;
/** These before a number say that it counts or names something else. */
export const OTHER_NUMBER =
  /\b(?:id|ids|order|ticket|invoice|case|ref|reference|sku|version|port|pid|error|code|zip|row|line|page|isbn|issue|build|commit|serial|amount|total|price|size|bytes|count|timestamp|epoch|year|time|date|account|iban|tracking|transaction|request|session|job|batch|seq|offset|index|part|model|item|record|number of)\b(?: (?:numbers?|nos?|nr)\b)?[\s#:=.]{0,4}$/;

/** Text before [start), lower case, with accents off, without the line before. */
export function before(text: string, start: number): string {
  const piece = text.slice(Math.max(0, start - AROUND_BEFORE), start);
  return piece
    .toLowerCase()
    .normalize('NFD')
    .replace(/[\u0300-\u036f]/g, '')
    .replace(/[_\s]+/g, ' ');
}

export function after(text: string, end: number): string {
  return text.slice(end, end + AROUND_AFTER).toLowerCase();
}

export function says(words: RegExp, place: Place, text: string, start: number): boolean {
  return (
    words.test(place.names) || words.test(before(text, start)) || (place.before !== '' && words.test(place.before))
  );
}
