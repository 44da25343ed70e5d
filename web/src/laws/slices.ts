// A stack of slices through the network; see iconet/upscaling/slices.py.

import { fillBackground, flatBackground, keepToSlice, SMALLEST, spikes } from './fidelity'
import type { Frame } from './frame'
import { DIM, frameOfObject, isNoise } from './frame'
import type { Image } from './image'
import { extremes, image, sizeOf } from './image'
import { levelsOfSlice } from './intensity'
import type { Way } from './way'

const BATCH_PIXELS = 256 * 256
const NEIGHBOURS = 4 // slices whose objects go through the network in one frame

export interface Network {
  scale: number
  multiple: number
  /** A slice between 0, nothing, and 1, something bright, to `scale` times as many rows and columns. */
  run(slice: Image): Promise<Image>
}

interface Part { index: number; low: Image; beyond: Float32Array | null; dark: number; bright: number }

/** Enlarges slices one by one, which `take` is given in order; the stack may be let go of meanwhile. */
export async function predictStack(network: Network, stack: Image[], periodic: boolean, way: Way | null, take: (slice: Image, index: number) => void, done: () => void): Promise<void> {
  const levels = stack.map(({ data }) => {
    const [least, most] = extremes(data)
    return least === most ? null : levelsOfSlice(data)
  })
  const faint = DIM * levels.reduce((most, pair) => (pair ? Math.max(most, pair[1] - pair[0]) : most), 0)
  const waiting = levels.flatMap((pair, index) => (pair ? [index] : []))
  levels.forEach((pair, index) => {
    if (!pair) take(repeatedValue(stack[index]!, network.scale), index)
    if (!pair) done()
  })
  if (!waiting.length) return
  const size = sizeOf(stack[0]!)
  const batch = Math.max(1, Math.floor(BATCH_PIXELS / (size[0] * size[1])))
  const together = batch * Math.max(1, Math.floor(NEIGHBOURS / batch))
  for (let start = 0; start < waiting.length; start += together) {
    const near = waiting.slice(start, start + together).map((index): Part => {
      const [dark, bright] = levels[index]!
      const range = Math.fround(bright - dark)
      const low = image(...size, stack[index]!.data.map((value) => Math.fround(value - dark) / range))
      return { index, beyond: spikes(low), low, dark, bright }
    })
    // Slices beyond the object are noise, on whatever scale.
    const shown = near.filter(({ low, dark, bright }) => bright - dark > faint || !isNoise(low)).map(({ low }) => low)
    const frame = frameOfObject(shown, size, network.multiple)
    for (const part of near) {
      const high = image(size[0] * network.scale, size[1] * network.scale)
      if (frame) await throughNetwork(network, part.low, frame, high)
      take(finished(part, high, stack[part.index]!, network.scale, periodic, way), part.index)
      done()
    }
  }
}

function repeatedValue(slice: Image, scale: number): Image {
  const found = image(slice.height * scale, slice.width * scale)
  found.data.fill(slice.data[0]!)
  return found
}

/** The object in a slice; where the network sees nothing, 0: the band that is put in makes an interpolation of it. */
async function throughNetwork({ scale, run }: Network, low: Image, { top, bottom, left, right }: Frame, high: Image): Promise<void> {
  const [height, width] = [bottom - top, right - left]
  const given = image(Math.max(height, SMALLEST), Math.max(width, SMALLEST))
  for (let y = 0, i = 0; y < given.height; y++) {
    const row = (top + Math.min(y, height - 1)) * low.width + left
    for (let x = 0; x < given.width; x++, i++) given.data[i] = low.data[row + Math.min(x, width - 1)]!
  }
  const found = await run(given)
  for (let y = 0; y < height * scale; y++) {
    const row = found.data.subarray(y * found.width, y * found.width + width * scale)
    high.data.set(row, (top * scale + y) * high.width + left * scale)
  }
}

/** The enlarged slice on the intensity scale of the slice itself. */
function finished({ low, beyond, dark, bright }: Part, high: Image, slice: Image, scale: number, periodic: boolean, way: Way | null): Image {
  const background = flatBackground(slice)
  const kept = keepToSlice(low, high, background, beyond, periodic, way)
  const range = Math.fround(bright - dark)
  const [least] = extremes(slice.data)
  for (let i = 0; i < kept.data.length; i++) kept.data[i] = Math.max(Math.fround(kept.data[i]! * range) + dark, least)
  if (background) fillBackground(kept, background.mask, slice.width, scale, background.value)
  return kept
}
