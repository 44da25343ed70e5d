// What a result owes the scan it was made from; see iconet/upscaling/fidelity.py.

import { cosines2, fromCosines2 } from './cosines'
import type { Image } from './image'
import { extremes, image, sizeOf } from './image'
import { withLowFrequencies } from './kspace'
import type { Spread } from './spread'
import { broughtBack, lacking } from './spread'

const OVERSHOOT = 0.5
const DARK = 0.1
const EDGE = 0.25
const FOLDED = 0.1
const ALTERNATIONS = 3
const TOLERANCE = 0.05
const AIR = 0.1
const FLAT = 0.01
export const SMALLEST = 16
export const SPIKE = [-0.5, 2] as const

export interface Background { mask: Uint8Array; value: number }

/** Make an enlarged slice agree with the slice.
 *
 * `beyond` is what the slice has beyond `SPIKE`; `low` is without it. */
export function keepToSlice(low: Image, high: Image, background: Background | null, beyond: Float32Array | null, periodic: boolean, way: Spread | 'another way' | null = null): Image {
  const factor = high.width / low.width
  let [least, most] = localRange(low)
  const span = least.map((value, i) => most[i]! - value)
  const allowed = folded(low, span)
  const agreeing = (one: Image) => (way ? acquiredAlike(low, span, way, one) : withBandOf(low, one, allowed, periodic))
  high = agreeing(high)
  if (background) {
    const first = low.data[background.mask.indexOf(1)]!
    for (let turn = 0; turn < ALTERNATIONS; turn++) {
      fillBackground(high, background.mask, low.width, factor, first)
      high = agreeing(high)
    }
  }
  let whole = low
  if (beyond) {
    whole = image(low.height, low.width, low.data.map((value, i) => value + beyond[i]!))
    const added = linear(image(low.height, low.width, beyond), factor)
    for (let i = 0; i < added.length; i++) high.data[i] = high.data[i]! + added[i]!
    ;[least, most] = localRange(whole)
  }
  const floor = extremes(whole.data)[0]
  for (let y = 0, i = 0; y < high.height; y++) {
    const row = Math.floor(y / factor) * low.width
    for (let x = 0; x < high.width; x++, i++) {
      const place = row + Math.floor(x / factor)
      const beside = OVERSHOOT * (most[place]! - least[place]!)
      high.data[i] = Math.min(Math.max(high.data[i]!, Math.max(least[place]! - beside, floor)), most[place]! + beside)
    }
  }
  return high
}

/** Give the enlarged voxels of a background one value. */
export function fillBackground(high: Image, mask: Uint8Array, width: number, factor: number, value: number): void {
  for (let y = 0, i = 0; y < high.height; y++) {
    const row = Math.floor(y / factor) * width
    for (let x = 0; x < high.width; x++, i++) if (mask[row + Math.floor(x / factor)]) high.data[i] = value
  }
}

/** What a slice has beyond `SPIKE`, which is taken from it; null for nothing. */
export function spikes(low: Image): Float32Array | null {
  const [least, most] = extremes(low.data)
  if (least >= SPIKE[0] && most <= SPIKE[1]) return null
  const beyond = new Float32Array(low.data.length)
  for (let i = 0; i < beyond.length; i++) {
    const kept = Math.min(Math.max(low.data[i]!, SPIKE[0]), SPIKE[1])
    beyond[i] = low.data[i]! - kept
    low.data[i] = kept
  }
  return beyond
}

/** Linear interpolation, field of view kept. */
function linear({ data, height, width }: Image, factor: number): Float32Array {
  const found = new Float32Array(data.length * factor * factor)
  const places = (size: number) => Array.from({ length: size * factor }, (_, i) => {
    const at = Math.max((i + 0.5) / factor - 0.5, 0)
    const before = Math.min(Math.floor(at), size - 1)
    return { before, after: Math.min(before + 1, size - 1), share: at - before }
  })
  const columns = places(width)
  let i = 0
  for (const row of places(height)) {
    for (const column of columns) {
      const at = (y: number) => data[y * width + column.before]! * (1 - column.share) + data[y * width + column.after]! * column.share
      found[i++] = at(row.before) * (1 - row.share) + at(row.after) * row.share
    }
  }
  return found
}

/** Change as little of an enlarged slice as it takes to be the slice once it is made smaller again. */
function acquiredAlike(low: Image, span: Float32Array, way: Spread | 'another way', high: Image): Image {
  const name = way === 'another way' ? 'block means' : way
  const missing = lacking(name, low, high)
  if (way === 'another way') missing.data.forEach((value, i) => { missing.data[i] = value - Math.min(Math.max(value, -TOLERANCE * span[i]!), TOLERANCE * span[i]!) })
  const added = broughtBack(name, missing, high.width / low.width)
  for (let i = 0; i < added.data.length; i++) added.data[i] = added.data[i]! + high.data[i]!
  return added
}

/** Replace what an enlarged slice holds below the Nyquist frequency of the slice by what that holds. */
export function withBandOf(low: Image, high: Image, allowed: Float32Array, periodic: boolean): Image {
  const { height, width } = low
  const large = Math.min(height, width) >= SMALLEST // in smaller ones there is no telling
  let inKspace: Image | null = null
  if (large || periodic) {
    inKspace = withLowFrequencies(high, low, allowed)
    let border = 0
    for (let x = 0; x < width; x++) border = Math.max(border, Math.abs(low.data[x]!), Math.abs(low.data[(height - 1) * width + x]!))
    for (let y = 0; y < height; y++) border = Math.max(border, Math.abs(low.data[y * width]!), Math.abs(low.data[(y + 1) * width - 1]!))
    if (periodic || border < AIR) return inKspace
  }
  const gain = Math.sqrt(high.data.length / low.data.length)
  const coefficients = cosines2(high, sizeOf(low))
  for (let i = 0; i < coefficients.data.length; i++) coefficients.data[i] = coefficients.data[i]! / gain
  const missing = fromCosines2(coefficients, sizeOf(low))
  let power = 0
  for (let i = 0; i < missing.data.length; i++) {
    const lacks = low.data[i]! - missing.data[i]!
    missing.data[i] = lacks - Math.min(Math.max(lacks, -allowed[i]!), allowed[i]!)
    power += missing.data[i]! ** 2
  }
  if (large && inKspace) {
    let change = 0
    for (let i = 0; i < high.data.length; i++) change += (inKspace.data[i]! - high.data[i]!) ** 2
    if (2 * change < gain ** 2 * power) return inKspace
  }
  const lacking = cosines2(missing, sizeOf(low))
  for (let i = 0; i < lacking.data.length; i++) lacking.data[i] = lacking.data[i]! * gain
  const added = fromCosines2(lacking, sizeOf(high))
  for (let i = 0; i < added.data.length; i++) added.data[i] = added.data[i]! + high.data[i]!
  return added
}

/** How far a voxel may be from what it was before the magnitude was taken. */
export function folded(low: Image, span: Float32Array): Float32Array {
  return low.data.map((value, i) => (value < DARK && span[i]! > EDGE ? Math.min(FOLDED * span[i]!, Math.max(value, 0)) : 0))
}

/** The least and the largest of the 3 x 3 voxels around each one. */
export function localRange({ data, height, width }: Image): [Float32Array, Float32Array] {
  const extreme = (of: (a: number, b: number) => number) => {
    const rows = new Float32Array(data.length)
    for (let i = 0; i < data.length; i++) {
      let value = data[i]!
      if (i >= width) value = of(value, data[i - width]!)
      if (i < data.length - width) value = of(value, data[i + width]!)
      rows[i] = value
    }
    const found = new Float32Array(data.length)
    for (let y = 0, i = 0; y < height; y++) {
      for (let x = 0; x < width; x++, i++) {
        let value = rows[i]!
        if (x > 0) value = of(value, rows[i - 1]!)
        if (x < width - 1) value = of(value, rows[i + 1]!)
        found[i] = value
      }
    }
    return found
  }
  return [extreme(Math.min), extreme(Math.max)]
}

/** Where a slice holds the constant that its background was set to; null without one. */
export function flatBackground({ data, height, width }: Image): Background | null {
  const corners = [data[0]!, data[width - 1]!, data[(height - 1) * width]!, data[height * width - 1]!].sort((a, b) => a - b)
  const count = (value: number) => corners.filter((one) => one === value).length
  const value = corners.reduce((best, one) => (count(one) > count(best) ? one : best))
  if (count(value) < 2) return null
  const same = Uint8Array.from(data, (one) => (one === value ? 1 : 0))
  // Blocks of 3 x 3; what is beyond the borders counts as background.
  const inner = spread(spread(same, height, width, true, Math.min), height, width, false, Math.min)
  const blocks = spread(spread(inner, height, width, true, Math.max), height, width, false, Math.max)
  const covered = blocks.reduce((sum, one) => sum + one, 0)
  if (covered < Math.max(9, FLAT * data.length)) return null
  return { mask: covered > 0.9 * same.reduce((sum, one) => sum + one, 0) ? same : blocks, value }
}

function spread(mask: Uint8Array, height: number, width: number, down: boolean, of: (a: number, b: number) => number): Uint8Array {
  const found = mask.slice()
  const step = down ? width : 1
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (down ? y > 0 : x > 0) found[i] = of(found[i]!, mask[i - step]!)
      if (down ? y < height - 1 : x < width - 1) found[i] = of(found[i]!, mask[i + step]!)
    }
  }
  return found
}
