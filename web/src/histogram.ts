// How often values occur, of some of the voxels, and its picture.

export interface Histogram { low: number; high: number; counts: number[] }

const BINS = 96
const MOST = 200_000
const NOISE = 0.08 // share of the range

/** Of the values between two; background, the least value, is not counted. */
export function histogram(values: ArrayLike<number>, scale = (v: number) => v, bins = BINS): Histogram | null {
  const step = Math.max(1, Math.floor(values.length / MOST))
  const some: number[] = []
  for (let i = 0; i < values.length; i += step) {
    const value = scale(values[i]!)
    if (Number.isFinite(value)) some.push(value)
  }
  if (!some.length) return null
  some.sort((a, b) => a - b)
  const inside = some.filter((value) => value > some[0]!)
  if (!inside.length) return null
  const low = inside[0]!
  const high = inside[Math.min(inside.length - 1, Math.floor(inside.length * 0.999))]!
  if (!(high > low)) return null
  const counts = new Array<number>(bins).fill(0)
  for (const value of inside) {
    if (value <= high) counts[Math.min(bins - 1, Math.floor(((value - low) / (high - low)) * bins))]!++
  }
  const total = counts.reduce((sum, n) => sum + n, 0)
  return { low, high, counts: counts.map((n) => n / total) }
}

const density = (h: Histogram, n: number) => (n * h.counts.length) / (h.high - h.low)

/** Draw some over each other, with the window between two lines. */
export function draw(canvas: HTMLCanvasElement, drawn: { histogram: Histogram; colour: string }[], window: [number, number], ink: string): void {
  const pen = canvas.getContext('2d')
  if (!pen || !drawn.length) return
  const { width, height } = canvas
  pen.clearRect(0, 0, width, height)
  const low = Math.min(...drawn.map((d) => d.histogram.low))
  const high = Math.max(...drawn.map((d) => d.histogram.high))
  // Noise around the subject may be most of an image; its peak is cut off.
  const most = Math.max(...drawn.flatMap((d) => d.histogram.counts.slice(NOISE * d.histogram.counts.length).map((n) => density(d.histogram, n))))
  const x = (value: number) => ((value - low) / (high - low)) * width
  for (const { histogram: h, colour } of drawn) {
    pen.strokeStyle = colour
    pen.lineWidth = 3
    pen.beginPath()
    h.counts.forEach((n, i) => {
      const value = h.low + ((i + 0.5) / h.counts.length) * (h.high - h.low)
      pen.lineTo(x(value), height - 4 - Math.min(1, density(h, n) / most) * (height - 12))
    })
    pen.stroke()
  }
  pen.strokeStyle = ink
  pen.setLineDash([6, 6])
  pen.lineWidth = 2
  for (const value of window) {
    pen.beginPath()
    pen.moveTo(x(value), 0)
    pen.lineTo(x(value), height)
    pen.stroke()
  }
  pen.setLineDash([])
}
