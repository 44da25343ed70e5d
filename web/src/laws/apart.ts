// Voxels that are no measurement; see iconet/upscaling/apart.py. They are found here, and refused.

import { extremes, rint } from './image'
import type { Shape } from './volume'

const SAMPLE = 200_000
const OUTLIERS = 1e-3
const FEW = 8
const WILD = 10
const CT_LOWEST = -1024

/** What a volume holds that is no measurement, in words; null for nothing. */
export function apartOf(volume: Float32Array, shape: Shape): string | null {
  const sample = sampleOf(volume, shape)
  const padding = paddingOf(volume, sample, shape)
  if (padding !== null) return `padding (${padding})`
  return isWild(volume, sample, shape) ? 'single voxels far beyond all others' : null
}

function sampleOf(volume: Float32Array, [columns, rows, slices]: Shape): Float32Array {
  const step = Math.max(1, rint((volume.length / SAMPLE) ** (1 / 3)))
  const found: number[] = []
  for (let k = 0; k < slices; k += step) for (let j = 0; j < rows; j += step) for (let i = 0; i < columns; i += step) found.push(volume[i + columns * (j + rows * k)]!)
  return Float32Array.from(found).sort()
}

/** The least and the largest value but for outliers. */
function rangeOf(sorted: Float32Array): [number, number] {
  const leftOut = Math.min(Math.max(FEW, rint(OUTLIERS * sorted.length)), Math.floor((sorted.length - 1) / 10))
  return [sorted[leftOut]!, sorted[sorted.length - 1 - leftOut]!]
}

function paddingOf(volume: Float32Array, sample: Float32Array, [columns, rows, slices]: Shape): number | null {
  const corners: number[] = []
  for (const k of [0, slices - 1]) for (const j of [0, rows - 1]) for (const i of [0, columns - 1]) corners.push(volume[i + columns * (j + rows * k)]!)
  corners.sort((a, b) => a - b)
  const count = (value: number) => corners.filter((one) => one === value).length
  const value = corners.reduce((best, one) => (count(one) > count(best) ? one : best))
  const rest = sample.filter((one) => one !== value)
  if (2 * count(value) < 8 || value === 0 || !rest.length) return null
  const [darkest, brightest] = rangeOf(rest)
  const trusted = value < CT_LOWEST
  const madeUp = trusted || (Number.isInteger(value) && Math.abs(value) > Math.max(-darkest, brightest))
  const [gap, spread] = [Math.max(darkest - value, value - brightest), brightest - darkest]
  return madeUp && spread && gap > (trusted ? 0.1 : 1) * spread ? value : null
}

function isWild(volume: Float32Array, sample: Float32Array, shape: Shape): boolean {
  const [low, high] = rangeOf(sample)
  const spread = WILD * (high - low)
  const [bottom, top] = [low - spread, high + spread]
  const [least, most] = extremes(volume)
  if (!spread || (least >= bottom && most <= top)) return false
  const beyond = (value: number) => value < bottom || value > top
  const [columns, rows] = shape
  for (let at = 0; at < volume.length; at++) {
    if (!beyond(volume[at]!)) continue
    const place = [at % columns, Math.floor(at / columns) % rows, Math.floor(at / (columns * rows))]
    const [first, last] = [0, 1].map((end) => place.map((p, axis) => {
      const size = Math.min(5, shape[axis]!)
      const start = Math.min(Math.max(p - 2, 0), shape[axis]! - size)
      return end ? start + size : start
    })) as [number[], number[]]
    const others: number[] = []
    let outside = 0
    for (let k = first[2]!; k < last[2]!; k++) {
      for (let j = first[1]!; j < last[1]!; j++) {
        for (let i = first[0]!; i < last[0]!; i++) {
          const value = volume[i + columns * (j + rows * k)]!
          if (beyond(value)) outside++
          else others.push(value)
        }
      }
    }
    if (outside > FEW || !others.length) continue
    others.sort((a, b) => a - b)
    const middle = (others[(others.length - 1) >> 1]! + others[others.length >> 1]!) / 2
    if (Math.abs(volume[at]! - middle) > Math.max(spread, WILD * (others.at(-1)! - others[0]!))) return true
  }
  return false
}
