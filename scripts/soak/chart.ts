/** Lines over the count of swaps, as an SVG that any browser shows. */

export interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly { readonly x: number; readonly y: number }[];
}

const WIDTH = 960;
const HEIGHT = 360;
const MARGIN = { left: 64, right: 16, top: 28, bottom: 40 } as const;
const STEPS = 5;

/** `y` begins at zero. Ticks are named `unit`; marks are vertical lines at places of x. */
export function chartOf(
  title: string,
  unit: string,
  lines: readonly Line[],
  marks: readonly number[],
): string {
  const points = lines.flatMap((line) => line.points);
  const most = { x: Math.max(1, ...points.map(({ x }) => x)), y: Math.max(1, ...points.map(({ y }) => y)) };
  const left = (x: number): number => MARGIN.left + (x / most.x) * (WIDTH - MARGIN.left - MARGIN.right);
  const top = (y: number): number =>
    HEIGHT - MARGIN.bottom - (y / most.y) * (HEIGHT - MARGIN.top - MARGIN.bottom);
  const grid = Array.from({ length: STEPS + 1 }, (_, at) => {
    const [x, y] = [(most.x * at) / STEPS, (most.y * at) / STEPS];
    return (
      `<path d="M${MARGIN.left} ${top(y).toFixed(1)}H${WIDTH - MARGIN.right}" stroke="#ddd"/>` +
      `<text x="${MARGIN.left - 6}" y="${(top(y) + 4).toFixed(1)}" text-anchor="end">${Math.round(y)}</text>` +
      `<text x="${left(x).toFixed(1)}" y="${HEIGHT - MARGIN.bottom + 16}" text-anchor="middle">${Math.round(x)}</text>`
    );
  });
  const drawn = lines.map(({ name, colour, points: own }, at) => {
    const path = own.map(({ x, y }) => `${left(x).toFixed(1)},${top(y).toFixed(1)}`).join(' ');
    const label = `<text x="${MARGIN.left + 8 + at * 190}" y="${HEIGHT - 6}" fill="${colour}">${escaped(name)}</text>`;
    return `<polyline points="${path}" fill="none" stroke="${colour}"/>${label}`;
  });
  const ticks = marks.map((x) => `<path d="M${left(x).toFixed(1)} ${MARGIN.top}v6" stroke="#c00"/>`);
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="11">` +
    `<rect width="100%" height="100%" fill="#fff"/><text x="${MARGIN.left}" y="16">${escaped(title)} (${escaped(unit)})</text>` +
    `${grid.join('')}${drawn.join('')}${ticks.join('')}</svg>\n`
  );
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
