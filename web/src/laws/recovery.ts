// Slices as they were acquired; see iconet/upscaling/recovery.py.

import type { Acquired } from './acquired'
import { acquired, isPeriodic, recover, signed } from './acquired'
import type { Image, Size } from './image'
import { extremes, image, sizeOf } from './image'
import { wordOf } from './window'

export interface Recovery { found: Acquired; stored: Size; periodic: boolean; zeroFilled: boolean; window: string | null }

/** How slices are brought to what was acquired; null where they are to be taken as they are. */
export function findRecovery(stack: Image[]): Recovery | null {
  const found = acquired(stack)
  const stored = sizeOf(stack[0]!)
  const zeroFilled = found.matrix[0] !== stored[0] || found.matrix[1] !== stored[1]
  const window = found.window && found.window.name !== 'none' ? wordOf(found.window) : null
  if (!zeroFilled && !window) return null
  return { found, stored, zeroFilled, window, periodic: isPeriodic(stack, found) }
}

/** No voxel is less than the least of the slice. */
export function recoverSlice(slice: Image, { found, periodic, zeroFilled }: Recovery): Image {
  const [dark, most] = extremes(slice.data)
  const [rows, columns] = found.matrix
  if (dark === most) return image(rows, columns, new Float32Array(rows * columns).fill(dark))
  let bright = image(slice.height, slice.width, slice.data.map((value) => value - dark))
  if (periodic && zeroFilled) bright = signed(bright, found.matrix)
  const recovered = recover(bright, found, periodic)
  return image(rows, columns, recovered.data.map((value) => Math.max(value, 0) + dark))
}

/** For people. */
export function said({ found, stored, zeroFilled, window }: Recovery): string {
  const parts = [
    ...(zeroFilled ? [`acquired ${found.matrix.join(' x ')} of ${stored.join(' x ')}`] : []),
    ...(window ? [`with a ${window} window over k-space`] : []),
  ]
  return `${parts.join(' ')}: enlarged from what was acquired`
}
