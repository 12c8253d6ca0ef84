// The only way that text from outside reaches the screen. What a payload says and what a person
// sees must be the same, so everything that is invisible, moves other text or imitates another
// letter is shown as what it is. It never cuts, never makes links, never changes a visible letter.
import { html } from './state.js';

// Everything but letters, marks, numbers, punctuation and symbols one can see. \p{C} holds
// controls, format characters, lone surrogates, private use and unassigned; \p{Z} all spaces;
// \p{DI} what renderers leave out (variation selectors, fillers, tags). Overlays strike through
// digits; U+2800 looks like a space; U+27E8 and U+27E9 are our own brackets.
const HIDDEN = '(?! )[\\p{C}\\p{Z}\\p{DI}\\p{Me}\\u0334-\\u0338\\u20D2\\u20D3\\u20D8-\\u20DA\\u20E5\\u20E6\\u20EA\\u20EB\\u2800\\uFFFC\\u27E8\\u27E9]';
const SEEN = `(?!${HIDDEN})`;
const RTL = `${SEEN}[\\p{sc=Hebr}\\p{sc=Arab}\\p{sc=Syrc}\\p{sc=Thaa}\\p{sc=Nkoo}\\p{sc=Samr}\\p{sc=Mand}\\p{sc=Adlm}]`;
const MARKED = `(?:${SEEN}\\p{M}){0,4}`; // what is stacked higher covers its neighbours
const TOKENS = [
  ['spaces', '^ +| +$| {3,}'],
  ['hidden', `(?:${HIDDEN})+`],
  ['marks', '(?<![\\p{L}\\p{M}])\\p{M}+|(?<=\\p{M}{4})\\p{M}+'],
  ['digits', '(?:(?![0-9])\\p{Nd})+'],
  ['rtl', `${RTL}${MARKED}(?: ?${RTL}${MARKED})*`],
  ['word', `\\p{L}${MARKED}(?:${SEEN}\\p{L}${MARKED}|[0-9])*`],
];
const TOKEN = new RegExp(TOKENS.map(([name, source]) => `(?<${name}>${source})`).join('|'), 'gu');
const ODD = /[^\x20-\x7e]| {3}|^ | $/;

// Scripts whose letters are taken for each other.
const ALIKE = ['Latin', 'Cyrillic', 'Greek', 'Armenian', 'Cherokee', 'Coptic', 'Georgian']
  .map((name) => [name, new RegExp(`\\p{sc=${name}}`, 'u')]);
const LATIN_TWINS = /^[асеһіјӏорԛѕԝхуАВСЕНІЈКМОРЅТХУΑΒΕΖΗΙΚΜΝΟΡΤΥΧορν]+$/u;
const NAMES = {
  0x09: 'tab', 0x0a: 'new line', 0x0d: 'carriage return', 0xa0: 'no-break space', 0xad: 'soft hyphen',
  0x200b: 'zero width space', 0x200c: 'zero width non-joiner', 0x200d: 'zero width joiner',
  0x200e: 'left-to-right mark', 0x200f: 'right-to-left mark', 0x202a: 'left-to-right embedding',
  0x202b: 'right-to-left embedding', 0x202c: 'pop direction', 0x202d: 'left-to-right override',
  0x202e: 'right-to-left override', 0x2060: 'word joiner', 0x2066: 'left-to-right isolate',
  0x2067: 'right-to-left isolate', 0x2068: 'first strong isolate', 0x2069: 'pop isolate', 0xfeff: 'byte order mark',
};

const codePoint = (char) => `U+${char.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

function escapes(run, lines) {
  const out = [];
  for (const char of run) {
    const last = out[out.length - 1];
    if (last && last.char === char) last.count++;
    else out.push({ kind: 'escape', char, count: 1 });
  }
  const pieces = out.flatMap((piece) => escapeOne(piece, lines));
  const smuggled = [...run].map((c) => c.codePointAt(0) - 0xe0000).filter((c) => c >= 0x20 && c < 0x7f);
  if (smuggled.length) pieces.push(note(`hidden tag letters: ${String.fromCharCode(...smuggled)}`));
  return pieces;
}

function escapeOne({ char, count }, lines) {
  const newline = char === '\n';
  if (newline && lines && count < 3) return [plain('\n'.repeat(count))];
  const times = count > 1 ? ` ×${count}` : '';
  const name = NAMES[char.codePointAt(0)] || 'not visible by itself';
  const piece = { kind: 'escape', text: `⟨${codePoint(char)}${times}⟩`, name };
  return newline ? [piece, plain('\n')] : [piece];
}

const plain = (text) => ({ kind: 'plain', text });
const note = (text) => ({ kind: 'note', text });

function spaces(run) {
  return [{ kind: 'escape', text: run.length > 1 ? `⟨space ×${run.length}⟩` : '⟨space⟩', name: `${run.length} spaces` }];
}

function word(text) {
  if (!/[^\x20-\x7e]/.test(text)) return [plain(text)];
  const scripts = ALIKE.filter(([, test]) => test.test(text));
  if (scripts.length > 1) return [{ kind: 'odd', text }, note(mixedNote(text, scripts))];
  if (LATIN_TWINS.test(text)) return [{ kind: 'odd', text }, note(`${scripts[0][0]} letters that look like Latin ones`)];
  const simple = text.normalize('NFKC');
  if (simple !== text.normalize('NFC')) return [{ kind: 'odd', text }, note(`look-alike letters for ${simple}`)];
  return [plain(text)];
}

function mixedNote(text, scripts) {
  const foreign = [...new Set([...text])].filter((c) => scripts.some(([name, test]) => name !== 'Latin' && test.test(c)));
  const names = scripts.map(([name]) => name).join(' and ');
  return `${names} letters mixed: ${foreign.map((c) => `${c} ${codePoint(c)}`).join(', ')}`;
}

const MAKE = {
  spaces,
  hidden: escapes,
  marks: escapes,
  digits: (text) => [{ kind: 'odd', text }, note(`digits of another script: ${[...text].map(codePoint).join(' ')}`)],
  rtl: (text) => [{ kind: 'rtl', text }],
  word,
};

// The pieces of a text: {kind: plain | escape | odd | note | rtl, text}. `lines` lets one or two
// line ends be line ends; everywhere else they are shown as escapes too.
export function pieces(text, lines = false) {
  if (!ODD.test(text)) return [plain(text)];
  const out = [];
  let end = 0;
  for (const match of text.matchAll(TOKEN)) {
    if (match.index > end) out.push(plain(text.slice(end, match.index)));
    const [name] = TOKENS.find(([key]) => match.groups[key] !== undefined);
    out.push(...MAKE[name](match[0], lines));
    end = match.index + match[0].length;
  }
  if (end < text.length) out.push(plain(text.slice(end)));
  return join(out);
}

function join(list) {
  const out = [];
  for (const piece of list) {
    const last = out[out.length - 1];
    if (piece.kind === 'plain' && last && last.kind === 'plain') last.text += piece.text;
    else out.push(piece);
  }
  return out;
}

function show(piece) {
  switch (piece.kind) {
    case 'plain': return piece.text;
    case 'escape': return html`<span class="escape" title=${piece.name}>${piece.text}</span>`;
    case 'odd': return html`<span class="odd">${piece.text}</span>`;
    case 'rtl': return html`<bdi dir="rtl">${piece.text}</bdi>`;
    default: return html`<span class="oddnote">[${piece.text}]</span>`;
  }
}

// Left to right and isolated: letters written from right to left keep to their own run, so no
// digit or sign beside them moves.
export function Text({ value, lines }) {
  return html`<bdi dir="ltr" class="text">${pieces(String(value), lines).map(show)}</bdi>`;
}
