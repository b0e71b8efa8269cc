// Colours of values: diverging about 0, or from none to full between 0 and 1.
const dark = matchMedia("(prefers-color-scheme: dark)");
const mixed = (a, b, share) => a.map((x, i) => Math.round(x + (b[i] - x) * share));
const ends = () => dark.matches
  ? { low: [86, 180, 233], middle: [28, 34, 40], high: [240, 130, 60], none: [20, 24, 28] }
  : { low: [0, 84, 147], middle: [247, 247, 247], high: [178, 57, 0], none: [255, 255, 255] };

function colourOf(value, limit, positive) {
  const { low, middle, high, none } = ends();
  if (Number.isNaN(value)) return none;
  const share = Math.min(1, Math.abs(value) / limit);
  if (positive) return mixed(middle, dark.matches ? [120, 215, 180] : [0, 98, 72], share);
  return mixed(middle, value < 0 ? low : high, share ** 0.8);
}

// The colours of all codes of a signal, as the 32-bit pixels of an ImageData.
function palette(signal) {
  const positive = signal.edges[0] === 0;
  return Uint32Array.from({ length: 256 }, (_, code) => pixelOf(colourOf(signal.values[code], signal.limit, positive)));
}

const pixelOf = ([r, g, b]) => (255 << 24) | (b << 16) | (g << 8) | r;

// An effect's colour; a share of it is left to one that cannot be told from 0.
function colourOfEffect(value, limit, sure, pale) {
  const colour = colourOf(value, limit, false);
  return sure || Number.isNaN(value) ? colour : mixed(ends().middle, colour, pale);
}

const series = (number) => `var(--class-${(number % 10) + 1})`;

// Black or white, whichever has more contrast to a colour (relative luminance of WCAG 2).
function inkOn(colour) {
  const [r, g, b] = colour.map((x) => (x <= 10 ? x / 3294 : ((x / 255 + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000" : "#fff";
}
