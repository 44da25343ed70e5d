// How the slices of a scan lost their resolution; see iconet/upscaling/way.py and iconet/network/description.py.

import { SPIKE } from './fidelity'
import type { Image } from './image'
import { extremes, image, rint } from './image'
import { levelsOfSlice } from './intensity'
import type { Network } from './slices'
import type { Spread } from './spread'
import { SPREADS, misfits } from './spread'

const LAGS = 5
const NOTHING = 1e-6
const SIDE = 128
const PROBES = 3
const MIDDLE = [0.25, 0.75] as const
const LEAST = 48
const SURE = 2 // times that a way must be likelier than a crop of k-space
const TINY = 1.1754943508222875e-38

export type Way = Spread | 'another way'
const WAYS: (Way | null)[] = [null, ...SPREADS, 'another way'] // null for a crop of k-space

/** The layers that tell the way. */
export interface Telling { mean: number[]; deviation: number[]; hidden: Layer; scores: Layer }
interface Layer { weight: number[][]; bias: number[] }

/** What is said of a way. */
export const SEEMS: Record<Way, string> = {
  'block means': 'its voxels seem to be means over smaller ones',
  'cubic interpolation': 'it seems to have been made smaller by cubic interpolation',
  'linear interpolation': 'it seems to have been made smaller by linear interpolation',
  'another way': 'it seems to have been blurred, filtered or interpolated',
}

/** How slices most likely lost their resolution; null for a crop of k-space, and for slices too small to tell. */
export async function findWay(network: Network, telling: Telling, count: number, slice: (index: number) => Image): Promise<Way | null> {
  const numbers = new Set(Array.from({ length: PROBES }, (_, i) => rint((MIDDLE[0] + ((MIDDLE[1] - MIDDLE[0]) * i) / (PROBES - 1)) * (count - 1))))
  const total = new Float64Array(WAYS.length)
  let asked = 0
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const probe = slice(number)
    const [least, most] = extremes(probe.data)
    if (Math.min(probe.height, probe.width) < LEAST) return null
    if (least === most) continue
    logSoftmax(applied(telling, await evidence(network, probe))).forEach((score, i) => { total[i] = total[i]! + score })
    asked++
  }
  if (!asked) return null
  const [crop, ...others] = total
  const likeliest = Math.max(...others)
  return likeliest - crop! > asked * Math.log(SURE) ? WAYS[others.indexOf(likeliest) + 1]! : null
}

/** What the way is told from: strengths, and how the network's answer misfits. */
export async function evidence(network: Network, slice: Image): Promise<number[]> {
  const [dark, bright] = levelsOfSlice(slice.data)
  const [top, left] = [slice.height, slice.width].map((size) => Math.max(0, size - SIDE) >> 1) as [number, number]
  const low = image(Math.min(SIDE, slice.height - top), Math.min(SIDE, slice.width - left))
  for (let y = 0, i = 0; y < low.height; y++) {
    for (let x = 0; x < low.width; x++, i++) low.data[i] = Math.min(Math.max(Math.fround((slice.data[(top + y) * slice.width + left + x]! - dark) / (bright - dark)), SPIKE[0]), SPIKE[1])
  }
  const logs = misfits(low, await network.run(low)).map((value) => Math.log(Math.max(value, TINY)))
  return [...strengths(low), ...logs.slice(1).map((value) => value - logs[0]!)]
}

/** Strength of an image's differences at several distances, logarithms. */
export function strengths({ data, height, width }: Image): number[] {
  const found: number[] = []
  const add = (down: number, along: number, of: (i: number, step: number) => number, times = 1) => {
    const step = down * width + along
    let sum = 0
    for (let y = 0; y < height - down * times; y++) for (let x = 0, i = y * width; x < width - along * times; x++, i++) sum += of(i, step) ** 2
    found.push(Math.log(sum / ((height - down * times) * (width - along * times)) + NOTHING))
  }
  const first = (i: number, step: number) => data[i + step]! - data[i]!
  const second = (i: number, step: number) => data[i + 2 * step]! - 2 * data[i + step]! + data[i]!
  for (let lag = 1; lag <= LAGS; lag++) {
    add(0, lag, first)
    add(lag, 0, first)
  }
  for (const lag of [1, 2]) add(lag, lag, first)
  add(0, 1, second, 2)
  add(1, 0, second, 2)
  const far = (found[2 * LAGS - 2]! + found[2 * LAGS - 1]!) / 2
  return found.map((one) => one - far)
}

function applied({ mean, deviation, hidden, scores }: Telling, given: number[]): number[] {
  const through = ({ weight, bias }: Layer, values: number[]) => weight.map((row, i) => row.reduce((sum, one, j) => sum + one * values[j]!, bias[i]!))
  const inner = through(hidden, given.map((value, i) => (value - mean[i]!) / deviation[i]!))
  return through(scores, inner.map((value) => (value > 0 ? value : 0.1 * value)))
}

function logSoftmax(scores: number[]): number[] {
  const most = Math.max(...scores)
  const total = most + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - most), 0))
  return scores.map((score) => score - total)
}
