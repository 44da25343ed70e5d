// The laws of the static page against numbers written by Python (tools/laws_fixture.py).

import { describe, expect, it } from 'vitest'
import { acquired, isPeriodic } from '../src/laws/acquired'
import { apartOf } from '../src/laws/apart'
import { cosines2, fromCosines2 } from '../src/laws/cosines'
import { SPIKE, flatBackground, keepToSlice, spikes } from '../src/laws/fidelity'
import { frameOfObject, isNoise } from '../src/laws/frame'
import type { Image, Size } from '../src/laws/image'
import { image, sizeOf } from '../src/laws/image'
import { levelsOfSlice } from '../src/laws/intensity'
import { resizeKspace } from '../src/laws/kspace'
import { sliceAxis } from '../src/laws/plan'
import { findRecovery, recoverSlice } from '../src/laws/recovery'
import { cosineWeights, resample } from '../src/laws/resampling'
import type { Shape } from '../src/laws/volume'
import { misfits } from '../src/laws/spread'
import type { Way } from '../src/laws/way'
import { strengths } from '../src/laws/way'
import text from './laws.json?raw'

const EVERY = 11

interface Packed { shape: number[]; data: string }
interface Law {
  image: Packed; levels: Size; frame: [Size, Size] | null; noise: boolean; background: number | null
  cosines: number[]; back: number[]; kept: { scale: number; periodic: boolean; is: number[] }[]
}
interface Fixture {
  laws: Record<string, Law>
  ways: [{ strengths: number[]; misfits: number[] }, ...{ way: Way; is: number[] }[]]
  sizes: { size: Size; resized: number[]; step: number; lines: number[] }[]
  recoveries: { stack: Packed; matrix: Size; window: [string, boolean] | null; snr: number; slope: number; periodic: boolean; recovered: number[] }[]
  choices: { axes: [Shape, Shape, number][]; volumes: Packed[]; apart: boolean[] }
}
const fixture: Fixture = JSON.parse(text)

const unpacked = ({ data }: Packed) => Float32Array.from(new Int16Array(Uint8Array.from(atob(data), (c) => c.charCodeAt(0)).buffer))
const slice = (packed: Packed): Image => image(packed.shape[0]!, packed.shape[1]!, unpacked(packed))

function alike(values: Float32Array, wanted: number[], tolerance = 2e-6): void {
  const range = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0)
  expect(Math.ceil(values.length / EVERY)).toBe(wanted.length)
  const worst = wanted.reduce((most, value, i) => Math.max(most, Math.abs(values[i * EVERY]! - value)), 0)
  expect(worst / range).toBeLessThan(tolerance)
}

/** What stands for the answer of a network. */
function answer({ data, width, height }: Image, scale: number): Image {
  const high = image(height * scale, width * scale)
  for (let y = 0, i = 0; y < high.height; y++) {
    for (let x = 0; x < high.width; x++, i++) high.data[i] = data[Math.floor(y / scale) * width + Math.floor(x / scale)]! + 0.05 * Math.sin(1.7 * i + 0.013 * i * i)
  }
  return high
}

describe.each(Object.entries(fixture.laws))('%s', (_, law) => {
  const scan = slice(law.image)
  const [dark, bright] = law.levels
  const low = () => image(scan.height, scan.width, scan.data.map((value) => Math.fround(value - dark) / Math.fround(bright - dark)))
  const clipped = () => {
    const one = low()
    spikes(one)
    return one
  }

  it('has its levels', () => expect(levelsOfSlice(scan.data)).toEqual(law.levels))
  it('has its frame', () => {
    const frame = frameOfObject([clipped()], sizeOf(scan), 8)
    expect(frame && [[frame.top, frame.bottom], [frame.left, frame.right]]).toEqual(law.frame)
    expect(isNoise(scan)).toBe(law.noise)
  })
  it('has its background', () => expect(flatBackground(scan)?.mask.reduce((sum, one) => sum + one, 0) ?? null).toBe(law.background))
  it('has its cosines', () => {
    alike(cosines2(clipped(), [7, 9]).data, law.cosines)
    alike(fromCosines2(clipped(), [82, 93]).data, law.back)
  })
  it.each(law.kept)('is kept, $scale times, periodic $periodic', ({ scale, periodic, is }) => {
    const given = low()
    const beyond = spikes(given)
    expect(Math.max(...given.data)).toBeLessThanOrEqual(SPIKE[1])
    alike(keepToSlice(given, answer(given, scale), flatBackground(scan), beyond, periodic).data, is)
  })
})

describe('a slice that was made smaller', () => {
  const scan = slice(fixture.laws.tissue!.image)
  const [dark, bright] = fixture.laws.tissue!.levels
  const low = () => image(scan.height, scan.width, scan.data.map((value) => Math.min(Math.max((value - dark) / (bright - dark), SPIKE[0]), SPIKE[1])))
  const [told, ...ways] = fixture.ways

  it('tells how', () => {
    strengths(low()).forEach((value, i) => expect(value).toBeCloseTo(told.strengths[i]!, 4))
    misfits(low(), answer(low(), 2)).forEach((value, i) => expect(value / told.misfits[i]!).toBeCloseTo(1, 3))
  })
  it.each(ways)('is kept, $way', ({ way, is }) => alike(keepToSlice(low(), answer(low(), 2), null, null, false, way).data, is, 1e-5))
})

it.each(fixture.sizes)('is resized to $size', ({ size, resized, step, lines }) => {
  const scan = slice(fixture.laws.tissue!.image)
  alike(resizeKspace(scan, size).data, resized)
  const floor = scan.data.reduce((a, b) => Math.min(a, b))
  alike(resample(scan, true, cosineWeights(scan.height, size[0], step), step, floor).data, lines)
})

it.each(fixture.recoveries)('finds $matrix and $window', (wanted) => {
  const [, height, width] = wanted.stack.shape as Shape
  const all = unpacked(wanted.stack)
  const stack = [0, 1].map((index) => image(height, width, all.slice(index * height * width, (index + 1) * height * width)))
  const found = acquired(stack)
  expect(found.matrix).toEqual(wanted.matrix)
  expect(found.window && [found.window.name, found.window.radial]).toEqual(wanted.window)
  expect(found.snr / wanted.snr).toBeCloseTo(1, 3)
  expect(found.slope).toBeCloseTo(wanted.slope, 3)
  expect(isPeriodic(stack, found)).toBe(wanted.periodic)
  const recovery = findRecovery(stack)
  expect(recovery === null).toBe(wanted.window === null && wanted.matrix.join() === [height, width].join())
  if (recovery) alike(recoverSlice(stack[1]!, recovery).data, wanted.recovered, 1e-5)
})

it('chooses the axis across the slices', () => {
  for (const [shape, spacing, axis] of fixture.choices.axes) expect(sliceAxis(shape, spacing)).toBe(axis)
})

it('finds what is no measurement', () => {
  const found = fixture.choices.volumes.map((packed) => {
    const [i, j, k] = packed.shape as Shape
    const values = unpacked(packed)
    const volume = new Float32Array(values.length)
    for (let x = 0, at = 0; x < i; x++) for (let y = 0; y < j; y++) for (let z = 0; z < k; z++, at++) volume[x + i * (y + j * z)] = values[at]!
    return apartOf(volume, [i, j, k]) !== null
  })
  expect(found).toEqual(fixture.choices.apart)
})
