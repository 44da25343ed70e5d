// What a slice's values are like; see iconet/intensity.py.

import { mean, rint } from './image'

const DARKEST = 0.005 // share of a slice's voxels below the value that stands for nothing

/** The values of a slice that stand for nothing and for something bright. */
export function levelsOfSlice(data: Float32Array): [number, number] {
  const values = data.slice().sort()
  const middle = mean(values)
  let dark = values[Math.trunc(DARKEST * (values.length - 1))]!
  let first = 0
  let end = values.length
  while (first < end) {
    const at = (first + end) >> 1
    if (values[at]! <= middle) first = at + 1
    else end = at
  }
  const count = values.length - first
  let bright = count ? values[first + Math.max(1, rint(0.995 * count)) - 1]! : values.at(-1)!
  if (bright <= dark) {
    // All but a few voxels are one value.
    dark = values[0]!
    bright = values.at(-1)!
  }
  return [dark, bright]
}
