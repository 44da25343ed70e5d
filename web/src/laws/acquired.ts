// What a scan holds of k-space: the acquisition matrix and the window; see iconet/physics/acquired.py.

import { cosines2, fromCosines2 } from './cosines'
import { frequencyAt, imageOf, spectrumOf } from './fourier'
import type { Image, Size } from './image'
import { image, rint, sizeOf } from './image'
import { resizeKspace } from './kspace'
import type { Fit, Power, Profile } from './spectrum'
import { MISFIT, TINY, fit, fitBand, powerSpectrum, profileAlong } from './spectrum'
import type { Name, Window } from './window'
import { WINDOWS, gainAt } from './window'

const SHORTEST = 32
const SMALLEST_SHARE = 0.28
const ALMOST_FULL = 0.94
const BAND_MARGIN = 0.33
const WINDOW_MARGIN = 0.2
const WINDOWED_BAND_MARGIN = 0.2
const MARGIN = 8
const NAMED: Record<Name, number> = { none: 0, hamming: 4, hann: 10, fermi: 4, tukey: 4 }
const RADIAL_MARGIN = 19
const STEP = 0.7
const POOR = 20
const FLOOR_SHARE = 0.5
const CLEARLY = 2.5
const MOST_GAIN: Record<Name, number> = { none: 1, hamming: 10, hann: 10, fermi: 4, tukey: 4 }
const NAMES = Object.keys(WINDOWS) as Name[]

export interface Acquired { matrix: Size; window: Window | null; snr: number; slope: number }

const windowed = (found: Acquired) => found.window !== null && found.window.name !== 'none'
const same = (a: Size, b: Size) => a[0] === b[0] && a[1] === b[1]

/** Finds the acquisition matrix and the k-space window of magnitude slices. */
export function acquired(stack: Image[]): Acquired {
  const size = sizeOf(stack[0]!)
  const nothing: Acquired = { matrix: size, window: null, snr: Infinity, slope: -3 }
  if (Math.min(...size) < SHORTEST) return nothing
  const power = powerSpectrum(stack)
  if (!power.data.some((value) => value !== 0)) return nothing
  const total = NAMES.map((name) => NAMED[name])
  const best: Best[][] = []
  for (const axis of [0, 1] as const) {
    const profile = profileAlong(power, axis)
    const found = bestBands(profile)
    if (Math.min(...found.map((one) => one.score)) > POOR * profile.frequency.length) return nothing
    found.forEach((one, i) => { total[i] = total[i]! + one.score })
    best.push(found)
  }
  const chosen = total.indexOf(Math.min(...total))
  const [rows, columns] = best.map((found) => found[chosen]!) as [Best, Best]
  const name = NAMES[chosen]!
  const radial = isRadial(power, [rows.band, columns.band], name)
  const value = (i: number) => (rows.values[i]! + columns.values[i]!) / 2
  return {
    matrix: [even(rows.band, size[0]), even(columns.band, size[1])],
    window: radial || name !== 'none' ? { name, radial } : null,
    snr: Math.exp(Math.min(value(0) - value(4), 50)),
    slope: Math.min(value(1), 0),
  }
}

/** The matrix of a band, in pixels. */
const even = (band: number, size: number) => (2 * band >= ALMOST_FULL * size ? size : 2 * rint(band))

interface Best extends Fit { band: number }

const least = <T extends { score: number }>(fits: T[]): T => fits.reduce((best, one) => (one.score < best.score ? one : best))

/** For every window the band that suits it best. */
function bestBands(profile: Profile): Best[] {
  const { nyquist } = profile
  const bins = profile.frequency.length
  const smallest = Math.max(SMALLEST_SHARE * nyquist, 8)
  const grid: number[] = []
  const [first, end] = [Math.log(smallest), Math.log(ALMOST_FULL * nyquist)]
  for (let i = 0, count = Math.ceil((end - first) / 0.03); i < count; i++) grid.push(Math.exp(first + i * 0.03))
  return NAMES.map((name) => {
    const shape = WINDOWS[name]
    const rough = grid.map((band) => ({ band, ...fitBand(profile, shape, band, nyquist, 6) }))
    const around = rough.length ? Array.from({ length: 19 }, (_, i) => Math.min(Math.max(least(rough).band * Math.exp((i - 9) * 0.005), smallest), nyquist)) : [nyquist]
    const smaller = around.map((band) => {
      const found = { band, ...fitBand(profile, shape, band, nyquist) }
      const [anatomy, , , noise, floor] = found.values as [number, number, number, number, number]
      found.score += Math.max(MARGIN, BAND_MARGIN * bins)
      // A step down, not a spectrum that goes on with another slope.
      const top = Math.max(anatomy, noise)
      if (top + Math.log1p(Math.exp(Math.min(anatomy, noise) - top)) - floor < STEP) found.score = Infinity
      if (name !== 'none') found.score += WINDOWED_BAND_MARGIN * bins
      return found
    })
    const partials = [...grid.filter((_, i) => i % 2 === 0), nyquist]
    const whole = least(partials.map((partial) => ({ band: nyquist, ...fitBand(profile, shape, nyquist, partial) })))
    // A blur of 1.2 pixels, as of processing, counts as no window.
    const full = name === 'none' ? Math.min(whole.score, fitBand(profile, (x) => Math.exp(-1.3 * x ** 2), nyquist, nyquist).score) : whole.score + Math.max(MARGIN, WINDOW_MARGIN * bins)
    const best = least(smaller)
    return best.score < full ? best : { ...whole, score: full }
  })
}

/** Whether a window falls with the radius of k-space, told from the corners of the band. */
function isRadial(power: Power, band: Size, name: Name): boolean {
  const shape = WINDOWS[name]
  const sums = Array.from({ length: 32 }, () => ({ count: 0, power: 0, radius: 0, separable: 0, radial: 0 }))
  const most = power.data.reduce((a, b) => Math.max(a, b), 0)
  for (let row = 0; row < power.rows; row++) {
    const y = Math.abs(frequencyAt(row, power.rows)) / band[0]
    for (let column = 0; column < power.columns; column++) {
      const x = column / band[1]
      const radius = Math.hypot(y, x)
      if (Math.abs(y - x) >= 0.25 || radius <= 0.15 || Math.max(y, x) >= 0.97) continue
      const bin = sums[Math.floor(((radius - 0.15) / 1.25) * 32)]
      if (!bin) continue
      bin.count++
      bin.power += power.data[row * power.columns + column]!
      bin.radius += radius
      bin.separable += (shape(y) * shape(x)) ** 2
      bin.radial += radius <= 1 ? shape(radius) ** 2 : 0
    }
  }
  const bins = sums.filter((bin) => bin.count > 0)
  const radius = bins.map((bin) => bin.radius / bin.count)
  const logPower = bins.map((bin) => Math.log(bin.power / bin.count + most * TINY + 1e-300))
  const variance = bins.map((bin) => 2 / (power.slices * bin.count) + MISFIT ** 2)
  const score = (of: 'separable' | 'radial') => fit(radius, bins.map((bin) => bin[of] / bin.count), logPower, variance).score
  return score('radial') + RADIAL_MARGIN < score('separable')
}

/** Whether the slices go on at one side as they end at the other, as far as can be told. */
export function isPeriodic(stack: Image[], found: Acquired): boolean {
  const start = Math.floor(stack.length / 3)
  const middle = stack.slice(start, start + 4)
  const [height, width] = sizeOf(stack[0]!)
  const power = (slice: Image) => slice.data.reduce((sum, value) => sum + value * value, 0)
  const [top, left] = [Math.max(3, height >> 3), Math.max(3, width >> 3)]
  const wrong = [true, false].map((periodic) => middle.reduce((sum, slice) => {
    if (!same(found.matrix, [height, width])) {
      const share = (height * width) / (found.matrix[0] * found.matrix[1])
      return sum + power(slice) - share * power(recover(slice, { ...found, window: null }, periodic))
    }
    const recovered = recover(slice, found, periodic)
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        if (y >= top && y < height - top && x >= left && x < width - left) continue
        sum += (recovered.data[i]! - slice.data[i]!) ** 2
      }
    }
    return sum
  }, 0)) as Size
  return wrong[0] <= CLEARLY * wrong[1]
}

/** A slice on the grid that was acquired, without the window. */
export function recover(slice: Image, found: Acquired, periodic = true): Image {
  const size = sizeOf(slice)
  if (!windowed(found) && same(size, found.matrix)) return slice
  const [rows, columns] = found.matrix
  const undo = windowed(found) ? inverseOf(found, periodic) : null
  if (periodic) {
    const kept = resizeKspace(slice, found.matrix)
    if (!undo) return kept
    const spectrum = spectrumOf(kept.data, rows, columns)
    for (let i = 0; i < undo.length; i++) {
      spectrum.re[i] = spectrum.re[i]! * undo[i]!
      spectrum.im[i] = spectrum.im[i]! * undo[i]!
    }
    return image(rows, columns, imageOf(spectrum))
  }
  const scale = Math.sqrt((rows * columns) / (size[0] * size[1]))
  const coefficients = cosines2(slice, found.matrix)
  for (let i = 0; i < coefficients.data.length; i++) coefficients.data[i] = coefficients.data[i]! * scale * (undo ? undo[i]! : 1)
  return fromCosines2(coefficients, found.matrix)
}

/** What undoes the window, at frequencies of the acquired matrix. */
function inverseOf({ matrix: [rows, columns], window, snr, slope }: Acquired, periodic: boolean): Float32Array {
  const found = new Float32Array(rows * columns)
  const distance = (i: number, n: number) => (periodic ? (2 * Math.abs(frequencyAt(i, n))) / n : i / n)
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++, i++) {
      const [y, x] = [distance(row, rows), distance(column, columns)]
      const gain = gainAt(window, y, x)
      const noise = (FLOOR_SHARE * Math.max(Math.hypot(y, x), 1e-3) ** -slope) / snr
      found[i] = gain > 0 ? Math.min(gain / (gain ** 2 + noise), MOST_GAIN[window!.name]) : 1
    }
  }
  found[0] = 1
  return found
}

/** Gives interpolated magnitudes the sign back that they had before. */
export function signed(magnitudes: Image, matrix: Size): Image {
  const found = image(magnitudes.height, magnitudes.width, magnitudes.data.slice())
  for (const share of [0.6, 0.5, 0.4]) {
    const within = resizeKspace(resizeKspace(found, matrix), sizeOf(magnitudes))
    for (let i = 0; i < found.data.length; i++) {
      if (within.data[i]! * Math.sign(found.data[i]!) < share * magnitudes.data[i]!) found.data[i] = -found.data[i]!
    }
  }
  return found
}

