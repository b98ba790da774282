// The Markdown reader of the apps, given what nobody should write. Runs in an app's page, with the module it serves.

import { check } from './lib.mjs';

const HOSTILE = [
  '<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '[x](javascript:alert(1))', '[x](JaVaScRiPt:alert(1))', '[x](data:text/html,<script>alert(1)</script>)',
  '[x]( javascript:alert(1))', '<javascript:alert(1)>', '![x](javascript:alert(1))', '[a](https://x"onmouseover="alert(1))', '[<img src=x onerror=alert(1)>](https://example.org)',
  '`<b>`', '```\n</code></pre><script>alert(1)</script>\n```', '| <script>alert(1)</script> | b |\n|---|---|\n| <img onerror=alert(1)> | [x](vbscript:x) |',
  '> '.repeat(5000), '- '.repeat(5000), '*'.repeat(20000), '_a '.repeat(5000), '['.repeat(20000), '[a]('.repeat(5000), '`'.repeat(19999), '**a*'.repeat(4000), '![' + ']('.repeat(8000), '<'.repeat(20000),
  'http://'.repeat(4000), '~~'.repeat(9001), '|'.repeat(20000) + '\n|-|-|', '# '.repeat(9000), '1. '.repeat(5000), '\\'.repeat(20001), `${' '.repeat(20000)}x`, '\u0000\u202e\ufeff',
];

const GOOD = [
  ['**a** *b* ~~c~~ `d`', 'p strong em s code'], ['# a\n\n### b', 'h2 h4'], ['- a\n  - b\n- c', 'ul li ul li li'], ['1. a\n2. b', 'ol li li'], ['- [ ] a\n- [x] b', 'ul li input li input'],
  ['> a\n> b', 'blockquote p br'], ['a\nb', 'p br'], ['***', 'hr'], ['| a | b |\n|--|--|\n| 1 | 2 |', 'div table thead tr th th tbody tr td td'], ['snake_case_name 2*3*4', 'p em'], ['https://example.org/a_b_c.', 'p a'],
  ['[a](https://example.org/x_(y))', 'p a'], ['\\*a\\*', 'p'], ['```\n**a**\n```', 'pre code'],
];

export async function hostile(page) {
  const result = await page.evaluate(async ([hostileTexts, good]) => {
    const own = document.querySelector('script[type=module][src*="notes.js"]').src;
    const { render } = await import(new URL('kit/markdown.js', own).href);
    const show = (text) => { const box = document.createElement('div'); box.append(render(text)); return box; };
    const tags = new Set('A BLOCKQUOTE BR CODE DIV EM H2 H3 H4 H5 H6 HR INPUT LI OL P PRE S STRONG TABLE TBODY TD TH THEAD TR UL'.split(' '));
    const attributes = new Set(['href', 'target', 'rel', 'type', 'disabled', 'aria-label', 'class', 'tabindex', 'start', 'checked']);
    const bad = [];
    for (const text of hostileTexts) {
      for (const node of show(text).querySelectorAll('*')) {
        if (!tags.has(node.tagName)) bad.push(`${node.tagName} from ${text.slice(0, 40)}`);
        for (const { name } of node.attributes) if (!attributes.has(name)) bad.push(`${name} from ${text.slice(0, 40)}`);
        if (node.href && !/^(https?|mailto|tel):/.test(node.href)) bad.push(`${node.href} from ${text.slice(0, 40)}`);
      }
    }
    const wrong = good.map(([text, wanted]) => [text, wanted, [...show(text).querySelectorAll('*')].map((node) => node.tagName.toLowerCase()).join(' ')]).filter(([, wanted, seen]) => wanted !== seen);
    return { bad, wrong };
  }, [HOSTILE, GOOD]);
  await check('hostile Markdown gives only plain elements and safe links', result.bad.length === 0, result.bad.slice(0, 3).join('; '));
  await check('Markdown is read as people mean it', result.wrong.length === 0, result.wrong.slice(0, 3));
}
