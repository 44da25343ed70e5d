// Which axis is across the slices, and which networks lead to the grid; see iconet/upscaling/plan.py and geometry.py.

import { rint } from './image'
import type { Recovery } from './recovery'
import type { Shape } from './volume'
import { inPlane } from './volume'

const THICK = 1.5
const SQUARE = 1.08
const SAME = 1e-5

/** The voxel axis across the slices. */
export function sliceAxis(shape: Shape, spacing: Shape): number {
  const fewest = [0, 1, 2].reduce((best, axis) => (shape[axis]! <= shape[best]! ? axis : best))
  const thickest = spacing.indexOf(Math.max(...spacing))
  const thinnest = spacing.indexOf(Math.min(...spacing))
  const [low, middle, high] = [...spacing].sort((a, b) => a - b) as Shape
  if (shape[fewest] === 1) return fewest
  if (high > THICK * middle || (high > SQUARE * middle && middle < SQUARE * low)) return thickest
  return middle > SQUARE * low && high < SQUARE * middle ? thinnest : fewest
}

export interface Plan {
  across: number
  factors: (2 | 4)[]
  shape: Shape
  ratios: Shape
  /** From one new voxel to the next, in those of the last network, along the axes that need it. */
  resampled: { axis: number; step: number }[]
  finest: number
}

/** The networks that make the axes in the plane of the slices `scale` times finer. */
export function planOf(shape: Shape, across: number, scale: 2 | 4, recovery: Recovery | null): Plan {
  const axes = inPlane(across)
  const ratios: Shape = [1, 1, 1]
  const size: Shape = [...shape]
  for (const axis of axes) {
    ratios[axis] = 1 / scale
    size[axis] = shape[axis]! * scale
  }
  if (!recovery) return { across, factors: [scale], shape: size, ratios, resampled: [], finest: scale }
  const shares = axes.map((_, i) => recovery.found.matrix[i]! / recovery.stored[i]!)
  const doublings = Math.max(1, rint(Math.log2(Math.min(...shares.map((share) => scale / share)))))
  // One by one, so that the band of the scan as it was stored is made by the first alone.
  const factors: (2 | 4)[] = shares.some((share) => share < 1) ? new Array<2>(doublings).fill(2) : [scale]
  const resampled = axes.map((axis, i) => ({ axis, step: (shares[i]! * 2 ** doublings) / scale })).filter(({ step }) => Math.abs(step - 1) > SAME)
  return { across, factors, shape: size, ratios, resampled, finest: scale }
}
