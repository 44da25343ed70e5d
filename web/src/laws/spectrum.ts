// The power spectrum of slices and the model of it that tells its band and window; see iconet/physics/spectrum.py.

import { spectrumOf } from './fourier'
import { variance as varianceOf } from './frame'
import type { Image } from './image'
import { clamp, mean, rint } from './image'
import type { Shape } from './window'

const SLICES = 16
const BINS = 128
const STRIP = 0.15
export const MISFIT = 0.15
const OUTLIER = 3
export const TINY = 1e-14
const SMEAR = [2e-5, 2.5e-4, 3e-3, 0.16, 0.674, 0.16, 3e-3, 2.5e-4, 2e-5]
const USUAL = [0, -3.5, -0.45, 0, 0, 1]
const SPREAD = [9, 0.4, 0.1, 6, 6, 1]

/** Mean power of the strongest slices: rows, and columns up to the Nyquist frequency. */
export interface Power { data: Float64Array; rows: number; columns: number; slices: number }
export interface Profile { frequency: number[]; logPower: number[]; variance: number; width: number; nyquist: number }
/** One hypothesis: negative log posterior; log A, its slope and curvature, log n, log F and how it falls. */
export interface Fit { score: number; values: number[] }

export function powerSpectrum(stack: Image[]): Power {
  const { height, width } = stack[0]!
  const columns = (width >> 1) + 1
  const energy = stack.map(({ data }) => varianceOf(data))
  const most = Math.max(0, ...energy)
  let strong = energy.flatMap((one, i) => (one > most / 4 ? [i] : []))
  const data = new Float64Array(height * columns)
  if (!strong.length) return { data, rows: height, columns, slices: 0 }
  const wanted = Math.min(SLICES, strong.length)
  strong = Array.from({ length: wanted }, (_, i) => strong[rint(wanted > 1 ? (i * (strong.length - 1)) / (wanted - 1) : 0)]!)
  const bell = (n: number) => Float64Array.from({ length: n }, (_, i) => Math.sin((Math.PI * (i + 0.5)) / n) ** 2)
  const [down, along] = [bell(height), bell(width)]
  for (const index of strong) {
    const slice = stack[index]!
    const middle = mean(slice.data)
    const tapered = new Float64Array(slice.data.length)
    for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i++) tapered[i] = (slice.data[i]! - middle) * Math.fround(down[y]! * along[x]!)
    const { re, im } = spectrumOf(tapered, height, width)
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < columns; x++) {
        const i = y * width + x
        data[y * columns + x] = data[y * columns + x]! + re[i]! ** 2 + im[i]! ** 2
      }
    }
  }
  return { data: data.map((value) => value / strong.length), rows: height, columns, slices: strong.length }
}

/** Power along an axis at low frequencies of the other one. */
export function profileAlong(power: Power, axis: 0 | 1): Profile {
  const { data, rows, columns: half, slices } = power
  const columns = 2 * (half - 1)
  const at = (y: number, x: number) => data[y * half + x]!
  let line: number[]
  let strip: number
  if (axis === 0) {
    strip = 1 + rint((STRIP * columns) / 2)
    const sums = Array.from({ length: rows }, (_, y) => mean(Array.from({ length: strip - 1 }, (_, x) => at(y, x + 1))))
    line = Array.from({ length: (rows - 1) >> 1 }, (_, i) => (sums[i + 1]! + sums[rows - 1 - i]!) / 2)
  } else {
    strip = 1 + rint((STRIP * rows) / 2)
    line = Array.from({ length: (columns - 1) >> 1 }, (_, i) => mean(Array.from({ length: strip - 1 }, (_, y) => at(y + 1, i + 1) + at(rows - 1 - y, i + 1))) / 2)
  }
  const count = line.length
  let first = Math.max(3, rint(0.05 * count)) - 1
  const width = Math.ceil(count / BINS)
  const bins = Math.floor((count - first) / width)
  first = count - bins * width
  const most = data.reduce((a, b) => Math.max(a, b), 0)
  const inBin = (bin: number, of: (i: number) => number) => mean(Array.from({ length: width }, (_, j) => of(first + bin * width + j)))
  return {
    frequency: Array.from({ length: bins }, (_, bin) => inBin(bin, (i) => i + 1)),
    logPower: Array.from({ length: bins }, (_, bin) => Math.log(inBin(bin, (i) => line[i]!) + most * TINY + 1e-300)),
    variance: 2 / (2 * slices * (strip - 1) * width) + MISFIT ** 2,
    width,
    nyquist: (axis === 0 ? rows : columns) / 2,
  }
}

/** Fits the model for a window, a band and the end of a partial Fourier half. */
export function fitBand(profile: Profile, shape: Shape, band: number, partial: number, rounds = 9): Fit {
  const half = (profile.width - 1) / 2
  const reach = SMEAR.length >> 1
  const first = profile.frequency[0]! - half - reach
  const last = profile.frequency.at(-1)! + half + reach
  const inside = (end: number, at: number) => (end < profile.nyquist - 0.1 ? clamp(end - at + 0.5, 0, 1) : 1)
  const power = Array.from({ length: Math.round(last - first) + 1 }, (_, i) => {
    const place = Math.abs(first + i)
    const at = Math.min(place, 2 * profile.nyquist - place)
    return shape(at / band) ** 2 * inside(band, at) * (0.25 + 0.75 * inside(partial, at))
  })
  const smeared = power.slice(2 * reach).map((_, i) => SMEAR.reduce((sum, weight, j) => sum + weight * power[i + j]!, 0))
  const gain = profile.frequency.map((_, bin) => mean(smeared.slice(bin * profile.width, (bin + 1) * profile.width)))
  return fit(profile.frequency.map((one) => one / band), gain, profile.logPower, profile.frequency.map(() => profile.variance), rounds)
}

/** Levenberg-Marquardt with Huber's loss. */
export function fit(radius: number[], gain: number[], logPower: number[], variance: number[], rounds = 9): Fit {
  const logRadius = radius.map(Math.log)
  const beyond = logRadius.map((one) => Math.max(one, 0))
  const usual = [...USUAL]
  usual[0] = interpolated(0.7, radius, logPower) - 1
  usual[3] = usual[4] = mean([...logPower].sort((a, b) => a - b).slice(0, Math.max(3, Math.floor(logPower.length / 20)))) - 1
  const bounded = (value: number) => Math.exp(clamp(value, -80, 80))
  const evaluate = (values: number[]) => {
    const [level, slope, curve, noise, floor, fall] = values as [number, number, number, number, number, number]
    let loss = 0
    const normal = new Float64Array(36)
    const descent = new Float64Array(6)
    for (let i = 0; i < radius.length; i++) {
      const at = logRadius[i]!
      const anatomy = bounded(level + (slope + curve * at) * at) * gain[i]!
      const receiver = bounded(noise) * gain[i]!
      const after = bounded(floor - fall * beyond[i]!)
      const total = anatomy + receiver + after
      const [a, f] = [anatomy / total, after / total]
      const slopes = [a, a * at, a * at ** 2, receiver / total, f, -f * beyond[i]!]
      const residual = logPower[i]! - Math.log(total)
      const size = Math.abs(residual) / Math.sqrt(variance[i]!)
      loss += size < OUTLIER ? size ** 2 / 2 : OUTLIER * (size - OUTLIER / 2)
      const weight = 1 / Math.max(size / OUTLIER, 1) / variance[i]!
      for (let m = 0; m < 6; m++) {
        descent[m] = descent[m]! + slopes[m]! * weight * residual
        for (let n = 0; n < 6; n++) normal[6 * m + n] = normal[6 * m + n]! + slopes[m]! * weight * slopes[n]!
      }
    }
    for (let m = 0; m < 6; m++) {
      const off = values[m]! - usual[m]!
      loss += (off / SPREAD[m]!) ** 2 / 2
      normal[7 * m] = normal[7 * m]! + SPREAD[m]! ** -2
      descent[m] = descent[m]! - off / SPREAD[m]! ** 2
    }
    return { loss, normal, descent }
  }
  let values = [...usual]
  let found = evaluate(values)
  let damping = 1e-2
  for (let round = 0; round < rounds; round++) {
    const normal = found.normal.slice()
    for (let m = 0; m < 6; m++) normal[7 * m] = normal[7 * m]! * (1 + damping)
    const step = solved(normal, found.descent.slice())
    const there = values.map((value, m) => value + clamp(step[m]!, -3, 3))
    const tried = evaluate(there)
    if (tried.loss < found.loss) {
      damping *= 0.3
      values = there
      found = tried
    } else damping *= 5
  }
  return { score: found.loss, values }
}

function interpolated(at: number, places: number[], values: number[]): number {
  if (at <= places[0]!) return values[0]!
  const after = places.findIndex((place) => place > at)
  if (after < 0) return values.at(-1)!
  const share = (at - places[after - 1]!) / (places[after]! - places[after - 1]!)
  return values[after - 1]! + share * (values[after]! - values[after - 1]!)
}

/** Six linear equations, by elimination with pivots. */
function solved(matrix: Float64Array, right: Float64Array): Float64Array {
  for (let column = 0; column < 6; column++) {
    let pivot = column
    for (let row = column + 1; row < 6; row++) if (Math.abs(matrix[6 * row + column]!) > Math.abs(matrix[6 * pivot + column]!)) pivot = row
    if (pivot !== column) {
      for (let n = 0; n < 6; n++) [matrix[6 * column + n], matrix[6 * pivot + n]] = [matrix[6 * pivot + n]!, matrix[6 * column + n]!]
      ;[right[column], right[pivot]] = [right[pivot]!, right[column]!]
    }
    for (let row = column + 1; row < 6; row++) {
      const share = matrix[6 * row + column]! / matrix[6 * column + column]!
      for (let n = column; n < 6; n++) matrix[6 * row + n] = matrix[6 * row + n]! - share * matrix[6 * column + n]!
      right[row] = right[row]! - share * right[column]!
    }
  }
  for (let row = 5; row >= 0; row--) {
    for (let n = row + 1; n < 6; n++) right[row] = right[row]! - matrix[6 * row + n]! * right[n]!
    right[row] = right[row]! / matrix[7 * row]!
  }
  return right
}
