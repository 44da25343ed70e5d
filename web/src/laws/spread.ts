// How coarse voxels may have come from finer ones, if not by a crop of k-space; see iconet/physics/point_spread.py.

import { cosines2, fromCosines2 } from './cosines'
import type { Image } from './image'
import { image, sizeOf, transposed } from './image'
import { withLowFrequencies } from './kspace'

export const SPREADS = ['block means', 'cubic interpolation', 'linear interpolation'] as const
export type Spread = (typeof SPREADS)[number]

const LEAST = 1e-4
const REACH: Record<Spread, number> = { 'block means': 0.5, 'cubic interpolation': 2, 'linear interpolation': 1 } // coarse voxels

function weightAt(name: Spread, x: number): number {
  const far = Math.abs(x)
  if (name === 'linear interpolation') return Math.max(0, 1 - far)
  if (far < 1) return 1.5 * far ** 3 - 2.5 * far ** 2 + 1
  return far < 2 ? -0.5 * far ** 3 + 2.5 * far ** 2 - 4 * far + 2 : 0
}

/** The first and the following weights of fine voxels for each coarse one. */
interface Row { first: number; weights: number[] }

function rowsOf(name: Spread, coarse: number, factor: number): Row[] {
  const fine = coarse * factor
  return Array.from({ length: coarse }, (_, i) => {
    const centre = factor * (i + 0.5)
    const reach = REACH[name] * factor
    const first = Math.max(0, Math.trunc(centre - reach + 0.5))
    const end = Math.min(fine, Math.trunc(centre + reach + 0.5))
    if (name === 'block means') return { first: i * factor, weights: new Array<number>(factor).fill(1 / factor) }
    const weights = Array.from({ length: end - first }, (_, j) => weightAt(name, (first + j - centre + 0.5) / factor))
    const sum = weights.reduce((a, b) => a + b, 0)
    return { first, weights: weights.map((one) => one / sum) }
  })
}

/** Each row of the slice made coarse. */
function coarseRows(rows: Row[], { data, height, width }: Image): Image {
  const found = image(height, rows.length)
  for (let y = 0; y < height; y++) {
    rows.forEach(({ first, weights }, x) => {
      let sum = 0
      for (let j = 0; j < weights.length; j++) sum += weights[j]! * data[y * width + first + j]!
      found.data[y * rows.length + x] = sum
    })
  }
  return found
}

/** Each row of the slice brought back by the pseudo-inverse: A^T (A A^T + e)^-1. */
function fineRows(rows: Row[], fine: number, { data, height, width }: Image): Image {
  const found = image(height, fine)
  const solve = solver(rows)
  const line = new Float64Array(fine)
  for (let y = 0; y < height; y++) {
    const solved = solve(Float64Array.from(data.subarray(y * width, (y + 1) * width)))
    line.fill(0)
    rows.forEach(({ first, weights }, x) => {
      for (let j = 0; j < weights.length; j++) line[first + j] = line[first + j]! + weights[j]! * solved[x]!
    })
    found.data.set(line, y * fine)
  }
  return found
}

/** Of A A^T and a little of its mean diagonal, which has few diagonals; by Cholesky's way. */
function solver(rows: Row[]): (right: Float64Array) => Float64Array {
  const size = rows.length
  const product = (a: Row, b: Row) => a.weights.reduce((sum, weight, j) => sum + weight * (b.weights[a.first + j - b.first] ?? 0), 0)
  const band = Math.max(...rows.map((row, i) => {
    let far = 0
    while (i + far + 1 < size && rows[i + far + 1]!.first < row.first + row.weights.length) far++
    return far
  }))
  const mean = rows.reduce((sum, row) => sum + product(row, row), 0) / size
  // factor[i][k] is the entry (i, i - k).
  const factor = Array.from({ length: size }, () => new Float64Array(band + 1))
  for (let i = 0; i < size; i++) {
    for (let k = Math.min(i, band); k >= 0; k--) {
      const j = i - k
      let sum = product(rows[i]!, rows[j]!) + (k === 0 ? LEAST * mean : 0)
      for (let m = Math.max(0, i - band); m < j; m++) sum -= factor[i]![i - m]! * (j - m <= band ? factor[j]![j - m]! : 0)
      factor[i]![k] = k === 0 ? Math.sqrt(sum) : sum / factor[j]![0]!
    }
  }
  return (right) => {
    for (let i = 0; i < size; i++) {
      for (let k = 1; k <= Math.min(i, band); k++) right[i] = right[i]! - factor[i]![k]! * right[i - k]!
      right[i] = right[i]! / factor[i]![0]!
    }
    for (let i = size - 1; i >= 0; i--) {
      for (let k = 1; k <= Math.min(size - 1 - i, band); k++) right[i] = right[i]! - factor[i + k]![k]! * right[i + k]!
      right[i] = right[i]! / factor[i]![0]!
    }
    return right
  }
}

/** A slice as it would have been acquired. */
export function acquiredThrough(name: Spread, high: Image, factor: number): Image {
  const wide = coarseRows(rowsOf(name, high.width / factor, factor), high)
  return transposed(coarseRows(rowsOf(name, high.height / factor, factor), transposed(wide)))
}

/** The slice of least power that would have been acquired as another one was. */
export function broughtBack(name: Spread, low: Image, factor: number): Image {
  const wide = fineRows(rowsOf(name, low.width, factor), low.width * factor, low)
  return transposed(fineRows(rowsOf(name, low.height, factor), low.height * factor, transposed(wide)))
}

const power = (values: Float32Array) => values.reduce((sum, value) => sum + value * value, 0)

/** How much of an answer would have to change for it to be acquired as the slice was: by a crop of k-space, and by each of `SPREADS`. */
export function misfits(low: Image, high: Image): number[] {
  const factor = high.width / low.width
  const cropped = withLowFrequencies(high, low, new Float32Array(low.data.length))
  const periodic = power(cropped.data.map((value, i) => value - high.data[i]!))
  const again = cosines2(high, sizeOf(low))
  const kept = fromCosines2(image(again.height, again.width, again.data.map((value) => value / factor)), sizeOf(low))
  const even = power(kept.data.map((value, i) => low.data[i]! - value))
  return [Math.min(periodic, factor ** 2 * even), ...SPREADS.map((name) => power(broughtBack(name, lacking(name, low, high), factor).data))]
}

/** What a slice holds that an answer, made coarse, does not. */
export function lacking(name: Spread, low: Image, high: Image): Image {
  const coarse = acquiredThrough(name, high, high.width / low.width)
  return image(low.height, low.width, coarse.data.map((value, i) => low.data[i]! - value))
}
