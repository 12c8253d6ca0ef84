// What the person at the terminal sees: numbered steps, a box, a table.
const colours = process.stdout.isTTY && !process.env.NO_COLOR;
const paint = (code) => (text) => (colours ? `\u001b[${code}m${text}\u001b[0m` : text);
export const bold = paint(1);
export const dim = paint(2);
export const red = paint(31);
export const green = paint(32);

let steps = 0;

export function title(text) {
  console.log(`\n${bold(text)}\n`);
}

export function step(what, text) {
  steps += 1;
  console.log(`${String(steps).padStart(2)}  ${bold(what.padEnd(12))} ${text}`);
}

export function line(text) {
  console.log(`    ${text}`);
}

export function box(lines) {
  const width = Math.max(...lines.map((l) => l.length));
  console.log(`\n    ┌${'─'.repeat(width + 2)}┐`);
  for (const l of lines) console.log(`    │ ${l.padEnd(width)} │`);
  console.log(`    └${'─'.repeat(width + 2)}┘\n`);
}

// rows: objects; columns: [[heading, row => text], ...]
export function table(columns, rows) {
  const cells = [columns.map(([heading]) => heading), ...rows.map((row) => columns.map(([, of]) => String(of(row) ?? '')))];
  const widths = columns.map((_, i) => Math.max(...cells.map((c) => c[i].length)));
  cells.forEach((c, n) => {
    const text = c.map((cell, i) => cell.padEnd(widths[i])).join('  ').trimEnd();
    line(n === 0 ? bold(text) : text);
  });
}
