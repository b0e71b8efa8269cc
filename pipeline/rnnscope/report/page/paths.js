// The classes' mean paths in three principal components, turned by dragging or arrow keys.
function startPaths() {
  for (const canvas of document.querySelectorAll("canvas.paths")) {
    const paths = meta.paths[canvas.dataset.layer];
    if (paths) turnable(canvas, paths);
  }
}

function turnable(canvas, { lines, components }) {
  const angle = { about: 0, tilt: 0 };
  const all = lines.flatMap((line) => line.points);
  const middle = [0, 1, 2].map((axis) => {
    const [least, largest] = extent(all.map((point) => point[axis] ?? 0));
    return (least + largest) / 2;
  });
  const size = extent(all.map((point) => Math.hypot(...point.map((x, axis) => x - middle[axis]))))[1] || 1;

  function project(point) {
    const [a, b, c] = [0, 1, 2].map((axis) => ((point[axis] ?? 0) - middle[axis]) / size);
    const [sin, cos] = [Math.sin(angle.about), Math.cos(angle.about)];
    const [tilt, flat] = [Math.sin(angle.tilt), Math.cos(angle.tilt)];
    const depth = -a * sin + c * cos;
    return [a * cos + c * sin, b * flat - depth * tilt];
  }

  function draw() {
    const scale = devicePixelRatio;
    const [width, height] = [canvas.clientWidth * scale, canvas.clientHeight * scale];
    Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const style = getComputedStyle(document.documentElement);
    const reach = 0.46 * Math.min(width, height);
    const at = (point) => {
      const [x, y] = project(point);
      return [width / 2 + x * reach, height / 2 - y * reach];
    };
    context.font = `${13 * scale}px system-ui, sans-serif`;
    context.lineWidth = 1.4 * scale;
    for (const { label, name, points } of lines) {
      const colour = style.getPropertyValue(`--class-${(label % 10) + 1}`);
      context.strokeStyle = context.fillStyle = colour;
      context.beginPath();
      points.forEach((point, i) => context[i ? "lineTo" : "moveTo"](...at(point)));
      context.stroke();
      const [x, y] = at(points.at(-1));
      context.beginPath();
      context.arc(x, y, 3.5 * scale, 0, 7);
      context.fill();
      context.fillText(name.length > 24 ? `${name.slice(0, 23)}…` : name, x + 6 * scale, y - 4 * scale);
    }
  }

  const turn = (about, tilt) => {
    angle.about += about;
    angle.tilt = Math.max(-Math.PI / 2, Math.min(Math.PI / 2, angle.tilt + tilt));
    draw();
  };
  if (components > 2) {
    let from = null;
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      from = [event.clientX, event.clientY];
    });
    canvas.addEventListener("pointermove", (event) => {
      if (!from) return;
      turn((event.clientX - from[0]) / 120, (event.clientY - from[1]) / 120);
      from = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { from = null; });
    canvas.addEventListener("keydown", (event) => {
      const turns = { ArrowLeft: [-0.15, 0], ArrowRight: [0.15, 0], ArrowUp: [0, -0.15], ArrowDown: [0, 0.15] };
      if (!turns[event.key]) return;
      event.preventDefault();
      turn(...turns[event.key]);
    });
  }
  new ResizeObserver(draw).observe(canvas);
  dark.addEventListener("change", draw);
}
