// Upscaling a volume in the plane of its slices; see iconet/upscaling/upscale.py and operations.py.

import { flatBackground } from './fidelity'
import type { Image } from './image'
import { extremes, image } from './image'
import type { Plan } from './plan'
import type { Recovery } from './recovery'
import { recoverSlice } from './recovery'
import { cosineWeights, nearestVoxels, resample } from './resampling'
import type { Network } from './slices'
import { predictStack } from './slices'
import type { Shape } from './volume'
import { inPlane, sliceOf } from './volume'
import type { Way } from './way'

/** Enlarges a volume; `take` is given its slices, in any order, and `progress` how many are done. */
export async function upscale(
  volume: Float32Array,
  shape: Shape,
  plan: Plan,
  recovery: Recovery | null,
  way: Way | null,
  networkOf: (factor: 2 | 4, way: Way | null) => Promise<Network>,
  take: (slice: Image, index: number) => void,
  progress: (done: number, total: number) => void,
): Promise<void> {
  const count = shape[plan.across]!
  const original = (index: number) => sliceOf(volume, shape, plan.across, index)
  let stack = Array.from({ length: count }, (_, index) => (recovery ? recoverSlice(original(index), recovery) : original(index)))
  const total = count * plan.factors.length
  let done = 0
  const advance = () => progress(++done, total)
  progress(0, total)
  const owed = (slice: Image, index: number) => {
    if (recovery) keepBackground(original(index), slice, plan)
    take(slice, index)
  }
  for (const [step, factor] of plan.factors.entries()) {
    const next: Image[] = []
    const ends = step === plan.factors.length - 1 && !plan.resampled.length
    const keep = (slice: Image, index: number) => { next[index] = slice }
    const told = step === 0 ? way : null // after the first network there is nothing acquired
    await predictStack(await networkOf(factor, told), stack, recovery !== null && recovery.periodic && recovery.zeroFilled, told, ends ? owed : keep, advance)
    stack = next
  }
  for (const [number, { axis, step }] of plan.resampled.entries()) {
    const down = axis === inPlane(plan.across)[0]
    const old = down ? stack[0]!.height : stack[0]!.width
    const weights = cosineWeights(old, plan.shape[axis]!, step)
    const floor = stack.reduce((least, { data }) => Math.min(least, extremes(data)[0]), Infinity)
    const last = number === plan.resampled.length - 1
    for (let index = 0; index < count; index++) {
      const made = resample(stack[index]!, down, weights, step, floor)
      stack[index] = last ? image(0, 0) : made // let go of what is used up
      if (last) owed(made, index)
    }
  }
}

/** Keep the constant background of a slice on another grid. */
function keepBackground(slice: Image, made: Image, plan: Plan): void {
  const background = flatBackground(slice)
  if (!background) return
  const [rows, columns] = inPlane(plan.across)
  const down = nearestVoxels(slice.height, made.height, plan.ratios[rows]!)
  const along = nearestVoxels(slice.width, made.width, plan.ratios[columns]!)
  for (let y = 0, i = 0; y < made.height; y++) for (let x = 0; x < made.width; x++, i++) if (background.mask[down[y]! * slice.width + along[x]!]) made.data[i] = background.value
}
