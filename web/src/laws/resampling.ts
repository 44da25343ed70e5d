// Antialiased resampling of one axis; see iconet/upscaling/resampling.py and keep_to_line of fidelity.py.

import type { Image } from './image'
import { clamp, image, rint, transposed } from './image'

const OVERSHOOT = 0.5

/** Where new voxels are centred along one axis, in old ones: both grids have one centre. */
export const positions = (old: number, size: number, step: number): Float64Array => Float64Array.from({ length: size }, (_, i) => (old - 1) / 2 + (i - (size - 1) / 2) * step)

/** The old voxel that each new voxel's centre lies in. */
export const nearestVoxels = (old: number, size: number, ratio: number): Int32Array => Int32Array.from(positions(old, size, ratio), (at) => clamp(Math.floor(at + 0.5), 0, old - 1))

/** (old, new): the weight of every old voxel at every new position. */
export function cosineWeights(old: number, size: number, step: number): Image {
  const band = Math.min(old, Math.max(1, Math.ceil(old / step - 1e-6)))
  const places = positions(old, size, step)
  const weights = image(old, size)
  const synthesis = new Float64Array(band * size)
  for (let k = 0; k < band; k++) for (let x = 0; x < size; x++) synthesis[k * size + x] = Math.cos((Math.PI / old) * k * (places[x]! + 0.5))
  const row = new Float64Array(size)
  for (let i = 0; i < old; i++) {
    row.fill(0)
    for (let k = 0; k < band; k++) {
      const analysis = (Math.cos((Math.PI / old) * (i + 0.5) * k) * (k === 0 ? 1 : 2)) / old
      for (let x = 0; x < size; x++) row[x] = row[x]! + analysis * synthesis[k * size + x]!
    }
    weights.data.set(row, i * size)
  }
  return weights
}

/** Evaluate the rows, or the columns, of a slice at other places, without leaving the range around these. */
export function resample(slice: Image, down: boolean, weights: Image, step: number, floor: number): Image {
  if (down) return transposed(resample(transposed(slice), false, weights, step, floor))
  const [old, size] = [weights.height, weights.width]
  const found = image(slice.height, size)
  const reach = Math.max(1, Math.ceil(step))
  const places = positions(old, size, step)
  const row = new Float64Array(size)
  for (let y = 0; y < slice.height; y++) {
    const line = slice.data.subarray(y * old, (y + 1) * old)
    row.fill(0)
    for (let i = 0; i < old; i++) {
      const value = line[i]!
      if (value === 0) continue
      const weight = weights.data.subarray(i * size, (i + 1) * size)
      for (let x = 0; x < size; x++) row[x] = row[x]! + value * weight[x]!
    }
    for (let x = 0; x < size; x++) {
      let [least, most] = [Infinity, -Infinity]
      for (let shift = -reach; shift <= reach; shift++) {
        const value = line[clamp(rint(places[x]! + shift), 0, old - 1)]!
        if (value < least) least = value
        if (value > most) most = value
      }
      const span = OVERSHOOT * (most - least)
      found.data[y * size + x] = clamp(row[x]!, Math.max(least - span, floor), most + span)
    }
  }
  return found
}
