/**
 * A recorded terminal session as an SVG that plays it: lines appear at the bottom, as they did, over and over. Where
 * animation is unwanted or not supported, one moment of it stands still. Pure.
 */
export interface RecordedLine {
  /** Seconds since the session began. */
  time: number;
  /** With SGR sequences of ANSI colours. */
  text: string;
}

export interface TerminalOptions {
  title: string;
  columns: number;
  rows: number;
  /** Seconds that the end stands still before it starts again. */
  rest: number;
  /** Number of lines that are there when it does not move. */
  still: number;
}

const CHARACTER_WIDTH = 7.8;
const LINE_HEIGHT = 18;
const FONT_SIZE = 13;
const PADDING = 16;
const BAR_HEIGHT = 30;

/** SGR parameters that the demo uses -> class of the text. */
const CLASSES: Record<string, string> = { "1": "b", "2": "d", "31": "r", "32": "g", "33": "y", "36": "c" };

const STYLE = `
    text { font: ${FONT_SIZE}px ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace; fill: #d1d7e0; white-space: pre; }
    .b { font-weight: 700; fill: #f0f6fc; } .d { fill: #7d8590; } .r { fill: #ff7b72; } .g { fill: #56d364; } .y { fill: #e3b341; } .c { fill: #79c0ff; }`;

interface Segment {
  column: number;
  text: string;
  className: string;
}

/** The SVG as text. */
export function terminalSvg(lines: readonly RecordedLine[], options: TerminalOptions): string {
  const { title, columns, rows, rest, still } = options;
  const width = Math.ceil(columns * CHARACTER_WIDTH + 2 * PADDING);
  const screenHeight = rows * LINE_HEIGHT;
  const height = BAR_HEIGHT + screenHeight + 2 * PADDING;
  const end = (lines.at(-1)?.time ?? 0) + rest;
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escapeXml(title)}">
  <style>${STYLE}
    .roll { transform: translateY(${offset(still, rows)}px); animation: roll ${end.toFixed(1)}s step-end infinite; }
    @media (prefers-reduced-motion: reduce) { .roll { animation: none; } }
    @keyframes roll {
${keyframes(lines, rows, end)}
    }
  </style>
  <rect width="${width}" height="${height}" rx="10" fill="#0d1117" stroke="#30363d"/>
  <circle cx="20" cy="17" r="5" fill="#6e7681"/><circle cx="38" cy="17" r="5" fill="#6e7681"/><circle cx="56" cy="17" r="5" fill="#6e7681"/>
  <text class="d" x="${width / 2}" y="21" text-anchor="middle">${escapeXml(title)}</text>
  <svg x="${PADDING}" y="${BAR_HEIGHT + PADDING}" width="${width - 2 * PADDING}" height="${screenHeight}">
    <g class="roll">
${lines.map(({ text }, index) => lineSvg(text, index)).join("")}    </g>
  </svg>
</svg>
`;
}

/** Text without its SGR sequences. */
export function plainText(text: string): string {
  return segments(text)
    .map((segment) => segment.text)
    .join("");
}

/** How far the lines are moved when the first `count` of them are there: the last one stands at the bottom. */
function offset(count: number, rows: number): number {
  return (rows - count) * LINE_HEIGHT;
}

/** One key frame for each moment at which lines appear. */
function keyframes(lines: readonly RecordedLine[], rows: number, end: number): string {
  const moments = new Map<string, number>();
  lines.forEach(({ time }, index) => {
    moments.set(((time / end) * 100).toFixed(2), index + 1);
  });
  const frames = [...moments].map(([at, count]) => `      ${at}% { transform: translateY(${offset(count, rows)}px); }`);
  return [`      0% { transform: translateY(${offset(moments.get("0.00") ?? 0, rows)}px); }`, ...frames].join("\n");
}

function lineSvg(text: string, index: number): string {
  const y = index * LINE_HEIGHT + FONT_SIZE;
  const spans = segments(text).flatMap(({ column, text: piece, className }) => {
    const kind = className === "" ? "" : ` class="${className}"`;
    // Not every viewer keeps runs of spaces: what they separate has a place of its own.
    return [...piece.matchAll(/\S+(?: \S+)*/g)].map(({ 0: words, index: begin }) => {
      const x = ((column + begin) * CHARACTER_WIDTH).toFixed(1);
      const length = (words.length * CHARACTER_WIDTH).toFixed(1);
      return `<tspan x="${x}" textLength="${length}"${kind}>${escapeXml(words)}</tspan>`;
    });
  });
  return spans.length === 0 ? "" : `      <text y="${y}">${spans.join("")}</text>\n`;
}

function segments(text: string): Segment[] {
  const found: Segment[] = [];
  let className = "";
  let column = 0;
  // Even pieces are text, odd ones the parameters of a sequence.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what SGR sequences begin with
  text.split(/\u001b\[([0-9;]*)m/).forEach((piece, index) => {
    if (index % 2 === 1) {
      className = CLASSES[piece] ?? "";
      return;
    }
    if (piece !== "") found.push({ column, text: piece, className });
    column += piece.length;
  });
  return found;
}

function escapeXml(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");
}
